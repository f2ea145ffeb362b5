"""Holds a running server to the contract's document: `contract.py BASE_URL DOCUMENT FOLDER SEED`.

Looks first whether the document's examples are what its own schemas say, then puts uploads that the server really knows
into the examples, since no random text is a signed id, and lets schemathesis ask whatever the document allows and forbids.
"""

import json
import os
import subprocess
import sys
import urllib.request

import jsonschema_rs

BASE_URL, DOCUMENT, FOLDER, SEED = sys.argv[1:]
JSON = {"content-type": "application/json"}
# Not among them: whether what the schemas allow is accepted. They cannot say that no `ref` stands twice and that all
# parts of a call together are 1,000 at most, and JSON Schema takes 1.0 for a whole number, which the contract does not.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
]
# What is wrong and too large as well may be refused for its size. A route of which nothing but refusals is seen has not
# been tested.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = ["400", "403", "404", "405", "413", "415"]
[warnings]
fail-on = true
"""
# Cases of each route in the last, random phase; the one before it goes through the schemas' edges one by one.
CASES = "60"
# Seconds that it may take; ten are usual.
LONGEST = 60


def resolved(document, value):
    if "$ref" not in value:
        return value
    for name in value["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document


def check_examples(document):
    """Every example of a body against the schema beside it."""
    count = 0
    for path, item in document["paths"].items():
        bodies = [("request", item["post"]["requestBody"]), *item["post"]["responses"].items()]
        for where, body in bodies:
            for media in resolved(document, body)["content"].values():
                schema = {**media["schema"], "components": document["components"]}
                validator = jsonschema_rs.Draft202012Validator(schema)
                for name, example in media["examples"].items():
                    errors = list(validator.iter_errors(resolved(document, example)["value"]))
                    if errors:
                        sys.exit(f"{path}, {where}: the example {name} is not what its schema says: {errors[0]}")
                    count += 1
    print(f"{count} examples are what their schemas say")


def ask(route, request):
    body = json.dumps(request).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{BASE_URL}/{route}", body, JSON)) as answer:
        return json.load(answer)


def form(fields, size):
    """A form as browsers write it, the file last."""
    head = "--line\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"
    text = "".join(head % field for field in fields.items())
    text += "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"blob\"\r\n\r\n"
    return text.encode() + bytes(size) + b"\r\n--line--\r\n"


def put(grant, size):
    if grant["method"] == "POST":
        kind = {"Content-Type": "multipart/form-data; boundary=line"}
        request = urllib.request.Request(grant["url"], form(grant["fields"], size), kind)
        with urllib.request.urlopen(request) as answer:
            return answer.headers["etag"]
    request = urllib.request.Request(grant["url"], bytes(size), grant["headers"], method="PUT")
    # `urllib` would add a type of its own, which is not signed.
    request.add_unredirected_header("Content-Type", grant["headers"].get("content-type", ""))
    with urllib.request.urlopen(request) as answer:
        return answer.headers["etag"]


def real(item):
    """The routes' examples with uploads of the server, the bytes of which are there, in place of the invented ones."""
    cat, film = ask("create", {"files": [
        {"ref": "cat", "name": "cat.jpg", "size": 48213, "type": "image/jpeg"},
        {"ref": "film", "name": "film.mp4", "size": 12582912, "type": "video/mp4"},
    ]})["uploads"]
    put(cat["parts"][0], 48213)
    sizes = {1: 5242880, 2: 5242880, 3: 2097152}
    parts = [{"number": number, "size": size} for number, size in sizes.items()]
    grants = ask("sign", {"uploads": [{"id": film["id"], "parts": parts}]})["uploads"][0]["parts"]
    invented = {
        "AnsiayI6ImNhdCJ9.not-a-real-signature": cat["id"],
        "AnsiayI6ImZpbG0ifQ.not-a-real-signature": film["id"],
    }
    named = item["post"]["requestBody"]["content"]["application/json"]["examples"].get("multipart", {})
    tags = [part.get("etag") for upload in named.get("value", {}).get("uploads", []) for part in upload["parts"]]
    for number, grant in enumerate(grants):
        etag = put(grant, sizes[grant["number"]])
        if number < len(tags):
            invented[tags[number]] = etag
    text = json.dumps(item)
    for old, new in invented.items():
        text = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    return json.loads(text)


def main():
    with open(DOCUMENT, encoding="utf-8") as file:
        document = json.load(file)
    check_examples(document)
    for path, item in document["paths"].items():
        if path != "/create":
            document["paths"][path] = real(item)
    known = os.path.join(FOLDER, "openapi.json")
    with open(known, "w", encoding="utf-8") as file:
        json.dump(document, file)
    with open(os.path.join(FOLDER, "schemathesis.toml"), "w", encoding="utf-8") as file:
        file.write(CONFIG)
    schemathesis = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [schemathesis, "--no-color", "run", known, "--url", BASE_URL, "--checks", ",".join(CHECKS)]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", CASES, "--max-failures", "5"]
    command += ["--seed", SEED, "--generation-database", "none"]
    command += ["--request-timeout", "10", "--no-shrink"]
    try:
        sys.exit(subprocess.run(command, cwd=FOLDER, timeout=LONGEST).returncode)
    except subprocess.TimeoutExpired:
        sys.exit(f"schemathesis was not done after {LONGEST} s, with seed {SEED}")


main()
