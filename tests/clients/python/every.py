# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
"""every.py proto|json|get: makes the calls that standard input lists (requests.json), with generated
code, and prints what came of each: {"method", "messages", "error"}, a line a call."""

import base64
import inspect
import itertools
import json
import re
import sys

from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError

from gateway import address, http_client
from gen.xenres.v1.access_connect import AccessService, AccessServiceClientSync
from gen.xenres.v1.host_connect import HostService, HostServiceClientSync
from gen.xenres.v1.inspect_connect import InspectService, InspectServiceClientSync
from gen.xenres.v1.resource_connect import ResourceService, ResourceServiceClientSync
from gen.xenres.v1.trace_connect import TraceService, TraceServiceClientSync

way = sys.argv[1]
codec = proto_json_codec() if way == "json" else proto_binary_codec()
services = {
    "xenres.v1.HostService": (HostService.desc(), HostServiceClientSync),
    "xenres.v1.ResourceService": (ResourceService.desc(), ResourceServiceClientSync),
    "xenres.v1.InspectService": (InspectService.desc(), InspectServiceClientSync),
    "xenres.v1.TraceService": (TraceService.desc(), TraceServiceClientSync),
    "xenres.v1.AccessService": (AccessService.desc(), AccessServiceClientSync),
}


def call(path, request):
    """Yields the messages of the answer."""
    service_name, method_name = path.split("/")
    service, client_class = services[service_name]
    method = next(m for m in service.methods if m.name == method_name)
    client = client_class(address, http_client=http_client, codec=codec)
    function = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", method_name).lower())
    message = method.input.type.from_json(json.dumps(request))
    if method.method_kind == "server_streaming":
        yield from function(message)
    elif "use_get" in inspect.signature(function).parameters:
        yield function(message, use_get=way == "get")
    else:  # it has side effects
        yield function(message)


def error_json(error):
    details = [
        {"type": d.type_name, "value": base64.b64encode(d.message_bytes).decode().rstrip("=")}
        for d in error.details
    ]
    return {"code": error.code.value, "message": error.message, "details": details}


for asked in json.load(sys.stdin):
    said = {"method": asked["method"], "messages": [], "error": None}
    try:
        answers = call(asked["method"], asked["request"])
        for answer in itertools.islice(answers, asked.get("take")):  # of a stream that has no end
            said["messages"].append(json.loads(answer.to_json()))
        answers.close()
    except ConnectError as error:
        said["error"] = error_json(error)
    print(json.dumps(said))
