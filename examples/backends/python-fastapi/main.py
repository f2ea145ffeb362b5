"""Windlass' backend contract, version 1, with FastAPI and boto3 for any store that speaks S3.

It keeps nothing: an upload's id carries, signed, what the server has to know of it. No URL is ever logged.
"""
import logging
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated

import boto3
import jwt
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import Body, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from pydantic import Field, StrictInt
from starlette.exceptions import HTTPException
from typing_extensions import NotRequired, TypedDict

BUCKET, SECRET, ENDPOINT = os.environ["S3_BUCKET"], os.environ["UPLOAD_SECRET"], os.environ.get("S3_ENDPOINT")
if len(SECRET) < 32:
    raise SystemExit("Set UPLOAD_SECRET to 32 letters or more.")
# Bytes, and the seconds that an upload may take and that a grant is good for.
SINGLE, MAX_PART, MAX_SIZE, WEEK, GRANT = 5 << 20, 5 << 30, 100 * 10**9, 7 * 24 * 3600, 900
MIME = re.compile(r"[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,66}", re.ASCII)
CODES = {
    "bad-request": (400, "The request is not JSON, or not the JSON of this route."),
    "id-refused": (403, "This upload was not started by this server, or its id was changed. Start it again."),
    "not-found": (404, "The backend has create, sign, list, complete and abort. Check the endpoint."),
    "upload-gone": (404, "The store does not know this upload any more. Start it again."),
    "size-mismatch": (409, "The stored bytes are not as many as the file's. Upload it again."),
    "upload-expired": (410, "This upload was started too long ago. Start it again."),
    "too-large": (413, "The request is larger than 4 MiB. Send smaller batches."),
    "bad-file": (422, "The file's size is not known, and this server cannot take such a file."),
    "bad-parts": (422, "These are not the parts of the file as the store should hold them."),
    "internal": (500, "The server made a mistake. Try again; if it stays, tell whoever runs it."),
    "store-refused": (502, "The store refused. Tell whoever runs this to check its keys, rights and bucket."),
    "store-unavailable": (503, "The store does not answer as it should. Try again in a moment."),
    "store-full": (507, "The store has no room left. Make room there, or tell whoever runs it."),
}
# No checksum by the SDK: a grant would be for that of an empty body.
config = Config(signature_version="s3v4", request_checksum_calculation="when_required",
                s3={"addressing_style": "path" if ENDPOINT else "auto"})
s3 = boto3.client("s3", os.environ.get("S3_REGION", "us-east-1"), endpoint_url=ENDPOINT, config=config)
pool = ThreadPoolExecutor(10)
STORE_ERRORS = (ClientError, BotoCoreError)

# What the page may ask: batches of at most 1,000, sizes in bytes. Anything else is a bad request.
Count, Few = Annotated[StrictInt, Field(ge=0)], Body(embed=True, max_length=1000)
File = TypedDict("File", {"ref": str, "name": str, "size": NotRequired[Count | None], "type": NotRequired[str]})
Named = TypedDict("Named", {"number": Count, "etag": NotRequired[str | None]})
ToSign = TypedDict("ToSign", {"id": str, "parts": list[TypedDict("Part", {"number": Count, "size": Count})]})
ToJoin = TypedDict("ToJoin", {"id": str, "size": Count, "parts": list[Named]})


class Problem(Exception):
    def __init__(self, code, detail=None, status=None):
        self.body = {"status": status or CODES[code][0], "code": code, "detail": detail or CODES[code][1]}


def need(is_right, code, detail=None):
    if not is_right:
        raise Problem(code, detail)


def problem_of(error):
    """What an error means to the page. Its own words stay out of log and answer: they may repeat a URL."""
    if isinstance(error, Problem):
        return error.body
    status = 400 if isinstance(error, RequestValidationError) else getattr(error, "status_code", None)
    if status:
        return Problem("not-found" if status == 404 else "bad-request", status=status).body
    told = getattr(error, "response", None) or {"Error": {}, "ResponseMetadata": {}}
    name, status = told["Error"].get("Code"), told["ResponseMetadata"].get("HTTPStatusCode", 0)
    logging.warning("%s %s, status %s", type(error).__name__, name, status)
    if name in ("NoSuchUpload", "NoSuchKey", "404", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"):
        return Problem("upload-gone" if status == 404 else "bad-parts").body
    failed = "store-refused" if 300 <= status < 500 else "store-unavailable"
    failed = {429: "store-unavailable", 507: "store-full"}.get(status, failed)
    return Problem(failed if isinstance(error, STORE_ERRORS) else "internal").body


def opened(token, late=False):
    """The upload of an id. The audience keeps other tokens of an app with the same secret from passing for one."""
    try:
        return jwt.decode(token, SECRET, ["HS256"], {"verify_exp": not late}, audience="windlass")
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Problem("upload-expired" if isinstance(error, jwt.ExpiredSignatureError) else "id-refused")


def at(upload, **more):
    return {"Bucket": BUCKET, "Key": upload["key"], **more}


def grant(upload, number, size):
    """A presigned PUT. The store refuses a body of another length or type."""
    seconds = max(1, min(GRANT, upload["exp"] - int(time.time()) - 1))
    action, what, headers = "upload_part", {"UploadId": upload["store"], "PartNumber": number}, {}
    if not upload["store"]:
        action, what, headers = "put_object", {"ContentType": upload["type"]}, {"content-type": upload["type"]}
    url = s3.generate_presigned_url(action, at(upload, ContentLength=size, **what), seconds)
    until = int((time.time() + seconds) * 1000)
    return {"number": number, "method": "PUT", "url": url, "headers": headers, "expiresAt": until}


def each(entries, name, work):
    """An answer for each entry; what is wrong with one does not keep the others from going on."""
    begun = [(entry[name], pool.submit(work, entry)) for entry in entries]
    ended = [{"problem": problem_of(one.exception())} if one.exception() else one.result() for _, one in begun]
    return [{name: ref, **outcome} for (ref, _), outcome in zip(begun, ended)]


def start(file):
    size, kind = file.get("size"), file.get("type", "")
    need(size is not None, "bad-file")
    need(size <= MAX_SIZE, "too-large", f"Files of up to {MAX_SIZE // 10**9} GB are accepted.")
    plain = re.sub(r"[^\w .-]", "", re.split(r"[/\\]", file["name"])[-1])[-80:].strip(". ") or "file"
    upload = {"key": f"{os.urandom(10).hex()}/{plain}", "size": size, "store": None, "aud": "windlass",
              "type": kind if MIME.fullmatch(kind) else "application/octet-stream", "exp": int(time.time()) + WEEK}
    told = {"provider": "s3", "key": upload["key"], "expiresAt": upload["exp"] * 1000}
    if size <= SINGLE:
        return {**told, "id": jwt.encode(upload, SECRET), "method": "single", "parts": [grant(upload, 1, size)]}
    upload["store"] = s3.create_multipart_upload(**at(upload, ContentType=upload["type"]))["UploadId"]
    return {**told, "id": jwt.encode(upload, SECRET), "method": "multipart"}


def sign_parts(asked):
    upload, parts = opened(asked["id"]), [(part["number"], part["size"]) for part in asked["parts"]]
    # Parts are of one size but for the last, which is no larger: none goes beyond the file.
    fits = all(1 <= number <= 10_000 and 1 <= size <= MAX_PART and number * size <= upload["size"] if upload["store"]
               else (number, size) == (1, upload["size"]) for number, size in parts)
    need(fits, "bad-parts", "A part has a number or size that this file cannot have.")
    return {"parts": [grant(upload, number, size) for number, size in parts]}


def listed(upload, after):
    page = s3.list_parts(**at(upload, UploadId=upload["store"], PartNumberMarker=after)) if upload["store"] else {}
    parts = [{"number": one["PartNumber"], "size": one["Size"], "etag": one["ETag"]} for one in page.get("Parts", [])]
    return {"parts": parts, **({"next": page["NextPartNumberMarker"]} if page.get("IsTruncated") else {})}


def join(upload, named):
    """Joins what the store holds, and only if that is the whole file and what the page named."""
    where = at(upload, UploadId=upload["store"])
    held = [part for page in s3.get_paginator("list_parts").paginate(**where) for part in page.get("Parts", [])]
    need([part["PartNumber"] for part in held] == [part["number"] for part in named], "bad-parts")
    same = [(known.get("etag") or one["ETag"]).strip('"') == one["ETag"].strip('"') for one, known in zip(held, named)]
    need(all(same) and sum(part["Size"] for part in held) == upload["size"], "bad-parts")
    parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in held]
    # boto3 raises as well where the store answers 200 with an <Error> in the body.
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


def finish(asked):
    upload, failed = opened(asked["id"]), None
    need(asked["size"] == upload["size"], "size-mismatch")
    need([part["number"] for part in asked["parts"]] == list(range(1, len(asked["parts"]) + 1)) != [], "bad-parts")
    try:
        upload["store"] and join(upload, asked["parts"])
    except STORE_ERRORS as error:
        failed = error
    try:
        head = s3.head_object(**at(upload))
    except STORE_ERRORS as error:
        # The key is this upload's alone: an object that is there was made by an earlier call, whatever join met.
        raise failed or error
    need(head["ContentLength"] == upload["size"], "size-mismatch")
    return {"key": upload["key"], "size": head["ContentLength"], "etag": head["ETag"]}


def free(upload):
    with suppress(s3.exceptions.NoSuchUpload):
        if upload["store"]:
            s3.abort_multipart_upload(**at(upload, UploadId=upload["store"]))
        elif time.time() < upload["exp"]:
            s3.delete_object(**at(upload))


def create(files: Annotated[list[File], Few]):
    return {"uploads": each(files, "ref", start), "serverTime": int(time.time() * 1000)}


def sign(uploads: Annotated[list[ToSign], Few]):
    need(sum(len(upload["parts"]) for upload in uploads) <= 1000, "bad-request", "Send at most 1,000 parts in a call.")
    return {"uploads": each(uploads, "id", sign_parts), "serverTime": int(time.time() * 1000)}


def list_parts(id: Annotated[str, Body()], after: Annotated[int | None, Body(strict=True, ge=0, le=10_000)] = None):
    return listed(opened(id), after or 0)


def complete(uploads: Annotated[list[ToJoin], Few]):
    return {"objects": each(uploads, "id", finish)}


def abort(ids: Annotated[list[str], Few]):
    # All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
    list(pool.map(free, [opened(id, late=True) for id in ids]))
    return {}


def refused(_request, error):
    problem = problem_of(error)
    return JSONResponse(problem, problem["status"], {"allow": "POST"}, "application/problem+json")


async def guard(request, call_next):
    kind, length = (request.headers.get(name, "") for name in ("content-type", "content-length"))
    problem = None if length.isdecimal() and int(length) <= 4 << 20 else Problem("too-large")
    if kind.partition(";")[0].strip().lower() != "application/json":
        problem = Problem("bad-request", "Send application/json.", 415)
    answer = refused(request, problem) if problem and request.method == "POST" else await call_next(request)
    answer.headers["cache-control"] = "no-store"
    return answer


expected = (Problem, RequestValidationError, HTTPException, *STORE_ERRORS)
app = FastAPI(openapi_url=None, exception_handlers=dict.fromkeys(expected, refused))
for route in (create, sign, list_parts, complete, abort):
    app.post(f"/windlass/{route.__name__.removesuffix('_parts')}")(route)
app.middleware("http")(guard)
app.add_middleware(CORSMiddleware, allow_origins=os.environ.get("ALLOW_ORIGIN", "").split(","), allow_methods=["POST"],
                   allow_headers=["content-type", "authorization"], expose_headers=["retry-after"], max_age=3000)
