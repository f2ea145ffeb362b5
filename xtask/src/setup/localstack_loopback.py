"""Starts LocalStack on the loopback interface only.

Its web server passes no interface to the endpoint, so that on IPv4 it ignores the host of GATEWAY_LISTEN and
would listen on every interface of the machine.
"""

from twisted.internet import endpoints

_endpoint = endpoints.TCP4ServerEndpoint


def _on_loopback(reactor, port, *args, **options):
    options["interface"] = "127.0.0.1"
    return _endpoint(reactor, port, *args, **options)


endpoints.TCP4ServerEndpoint = _on_loopback

from localstack.runtime.main import main  # noqa: E402  (after the patch, which it must see)

main()
