"""Cache work that boto3 and moto repeat for every simulator and every row. It used most of a scenario's time."""

from __future__ import annotations

import copy
import inspect
import io
import os
import re
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import boto3
import botocore.client
import botocore.hooks
import botocore.regions
import botocore.retries.standard
import moto.core.botocore_stubber
import moto.core.models
import moto.core.request
import moto.core.responses
import moto.core.utils
import moto.moto_api._internal.moto_random
import moto.sns.models
import moto.sqs.models
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.compat import get_current_datetime
from botocore.endpoint import EndpointCreator
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader
from botocore.useragent import UserAgentString
from moto.backend_index import backend_url_patterns
from moto.backends import get_backend
from moto.dynamodb.parsing import ast_nodes, validators
from werkzeug.exceptions import HTTPException

from tests.trials.world.deployment import ACCOUNT


def _share_handlers() -> None:
    """Let a client share the session's tree of event handlers; a change copies only the nodes on its path.

    botocore copies the complete tree for each client. So an unchanged root also means unchanged handlers.
    """
    hooks: Any = botocore.hooks
    trie, lists = hooks._PrefixTrie, hooks.NodeList

    def values_of(node: Any) -> Any:
        return lists(*map(list, node["values"] or ([], [], [])))

    def added(node: Any, parts: list[str], value: Any, section: int) -> dict[str, Any]:
        if not parts:
            values = values_of(node)
            values[section].append(value)
            return {**node, "values": values}
        child = node["children"].get(parts[0], {"chunk": parts[0], "values": None, "children": {}})
        return {**node, "children": {**node["children"], parts[0]: added(child, parts[1:], value, section)}}

    def removed(node: Any, parts: list[str], value: Any) -> dict[str, Any]:
        if not parts:
            values = values_of(node)
            next((one for one in values if value in one), [value]).remove(value)
            return {**node, "values": values}
        if parts[0] not in node["children"]:
            raise ValueError(f"key is not in trie: {parts[0]}")
        return {
            **node,
            "children": {**node["children"], parts[0]: removed(node["children"][parts[0]], parts[1:], value)},
        }

    def append_item(self: Any, key: str, value: Any, section: int = hooks._MIDDLE) -> None:
        self._root = added(self._root, key.split("."), value, section)

    def remove_item(self: Any, key: str, value: Any) -> None:
        self._root = removed(self._root, key.split("."), value)

    def share(self: Any) -> Any:
        made = type(self)()
        made._root = self._root
        return made

    trie.append_item, trie.remove_item, trie.__copy__ = append_item, remove_item, share


def _accepts_options(function: Any) -> Any:
    """Return whether a handler has `**options`, without building its signature."""
    code = getattr(function, "__code__", None)
    return inspect.getfullargspec(function)[2] if code is None else code.co_flags & inspect.CO_VARKEYWORDS


def _share_models() -> None:
    """Build a service's model and the methods of its clients once."""
    creator: Any = botocore.client.ClientCreator
    load, create = creator._load_service_model, creator._create_methods
    loaded, methods = dict[Any, Any](), dict[str, dict[str, Any]]()

    def load_model(self: Any, *names: Any) -> Any:
        if self._loader is not models():
            return load(self, *names)
        if names not in loaded:
            loaded[names] = load(self, *names)
        return loaded[names]

    def create_methods(self: Any, model: Any) -> dict[str, Any]:
        if self._loader is not models():
            return dict(create(self, model))
        if model.service_name not in methods:
            methods[model.service_name] = create(self, model)
        return dict(methods[model.service_name])

    creator._load_service_model, creator._create_methods = load_model, create_methods


def _plain_request(made: Any, method: str, url: str, headers: Any, body: Any = None) -> Any:
    """Return moto's request with the same WSGI environment, without werkzeug's builder of test requests."""
    parts = urlsplit(url)
    if parts.netloc.startswith("s3") or ".s3" in parts.netloc or not isinstance(body, bytes | str | None):
        return _built_request(method, url, headers, body)
    content = body.encode() if isinstance(body, str) else body or b""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path).encode().decode("latin1"),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": parts.path,
        "RAW_URI": parts.path,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or {"http": 80, "https": 443}[parts.scheme]),
        "HTTP_HOST": parts.netloc,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "moto.preserved_header_names": {},
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.decode() if isinstance(value, bytes) else value
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("HTTP_CONTENT_LENGTH", None)
    request = made(environ | {"CONTENT_LENGTH": str(len(content))})
    # werkzeug puts both together from the environment.
    request.__dict__ |= {"data": content, "as_it_arrived": url if parts.path else f"{url}/"}
    return request


_built_request: Any = moto.core.request.Request.from_primitives


def _find_handlers_by_url() -> None:
    """Look up moto's handler of an address once. moto tries the patterns of all services for each request."""
    stubber: Any = moto.core.botocore_stubber.BotocoreStubber
    search = stubber.process_request

    @lru_cache(maxsize=4096)
    def find(address: str) -> Any:
        service = next((name for name, pattern in backend_url_patterns if pattern.match(address)), None)
        if service is None:
            return None
        regions: Any = get_backend(service)[ACCOUNT]  # type: ignore[call-overload]
        urls = regions["us-east-1" if "us-east-1" in regions else "aws"].urls
        return next((handle for url, handle in urls.items() if re.match(url, address)), None)

    def process_request(self: Any, request: Any) -> Any:
        url, _ = moto.core.utils.get_equivalent_url_in_aws_domain(request.url)
        handle = find(f"{url.scheme}://{url.netloc}{url.path}")
        if handle is None:  # such as the loopback address of a fake, which matches no pattern
            return search(self, request) if url.netloc.endswith("amazonaws.com") else None
        normalized = moto.core.request.normalize_request(request)
        try:
            return handle(normalized, normalized.raw_url, normalized.headers)
        except HTTPException as error:
            return error.code, error.get_headers(), error.get_body()

    stubber.process_request = process_request


def _walk_expressions_by_type() -> None:
    """Look up the kind of an update expression's nodes by type. moto's own way asks abstract classes, which is slow."""
    nodes: Any = ast_nodes
    is_node: Any = cache(lambda kind: issubclass(kind, nodes.Node))
    has_clauses: Any = cache(lambda kind: issubclass(kind, (nodes.Expression, nodes.UpdateExpressionFunction)))
    traverser: Any = nodes.DepthFirstTraverser
    first_hook = traverser.pre_processing_of_child
    # The only kinds that processing adds to a parsed expression.
    added = {nodes.DDBTypedValue, nodes.NoneExistingPath}
    processed: dict[tuple[type, type], bool] = {}
    has_work: dict[tuple[type, Any], bool] = {}

    def kinds_of(node: Any) -> Any:
        """Return the kinds of a node and all below it. A node keeps them, and its copies have them."""
        known = node.__dict__.get("kinds")
        if known is None:
            below = (kinds_of(one) for one in node.children or () if is_node(type(one)))
            known = node.kinds = frozenset({type(node)}.union(*below))
        return known

    def traverse(instance: Any, node: Any, place: int = -1) -> Any:
        if not is_node(type(node)):
            return node
        work = (type(instance), kinds_of(node))
        if work not in has_work:
            wanted = instance.nodes_to_be_processed()
            hooked = work[0].pre_processing_of_child is not first_hook
            has_work[work] = hooked or any(issubclass(kind, wanted) for kind in work[1] | added)
        if not has_work[work]:
            return node
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            instance.pre_processing_of_child(node, number)
            traverse(instance, child, number)
        kinds = (type(instance), type(node))
        if kinds not in processed:
            processed[kinds] = issubclass(kinds[1], instance.nodes_to_be_processed())
        if processed[kinds]:
            node = instance.process(node)
            node.parent = parent
            if parent:
                parent.children[place] = node
        return node

    def find_clauses(instance: Any, kinds: Any) -> list[Any]:
        found = []
        for child in instance.children or ():
            if type(child) in kinds:
                found.append(child)
            elif has_clauses(type(child)):
                found.extend(find_clauses(child, kinds))
        return found

    def copied(node: Any, _memo: Any = None) -> Any:
        made = object.__new__(type(node))
        made.__dict__ |= node.__dict__
        if node.children is not None:
            made.children = [
                copied(one) if is_node(type(one)) else one if isinstance(one, str) else copy.deepcopy(one)
                for one in node.children
            ]
            for child in made.children:
                if is_node(type(child)):
                    child.parent = made
        return made

    traverser.traverse_node_recursively = traverse
    nodes.Node.find_clauses = find_clauses
    nodes.Node.__deepcopy__ = copied
    # These two look for clauses at any depth, so the root of an expression is enough.
    for validator in (validators.ActionCountValidator, validators.OverlappingPathsValidator):
        validator.traverse = validator.process


def _has_succeeded(context: Any) -> bool:
    """Return whether an answer needs none of botocore's checks for a retry. They look at errors and their status."""
    answer = context.http_response
    return answer is not None and answer.status_code == 200 and not context.get_error_code()


def _random_string(random: Any, length: int = 20, include_digits: bool = True, lower_case: bool = False) -> str:
    """Return a random text as moto's method does, drawn in one call."""
    text = "".join(random.choices(string.ascii_letters + string.digits * include_digits, k=length))
    return text.lower() if lower_case else text


def _remember() -> None:
    """Cache pure functions of botocore and moto. This changes no answer, so it holds for all of the process."""
    _share_handlers()
    _share_models()
    _find_handlers_by_url()
    request: Any = moto.core.request.Request
    request.from_primitives = classmethod(_plain_request)
    put_together = request.raw_url.fget
    request.raw_url = property(lambda made: made.__dict__.get("as_it_arrived") or put_together(made))
    conditions: Any = botocore.retries.standard.StandardRetryConditions
    is_retryable = conditions.is_retryable
    conditions.is_retryable = lambda checks, context: not _has_succeeded(context) and is_retryable(checks, context)
    hooks: Any = botocore.hooks
    hooks.accepts_kwargs = _accepts_options
    aliaser: Any = botocore.hooks.EventAliaser
    make, names = aliaser.__init__, dict[str, str]()

    def share_names(instance: Any, *arguments: Any) -> None:
        make(instance, *arguments)
        if instance._event_aliases == botocore.hooks.EVENT_ALIASES:
            instance._alias_name_cache = names

    aliaser.__init__ = share_names
    _walk_expressions_by_type()
    responses: Any = moto.core.responses
    responses.method_names_from_class = cache(responses.method_names_from_class)
    responses.camelcase_to_underscores = cache(responses.camelcase_to_underscores)
    queues: Any = moto.sqs.models
    queues.camelcase_to_underscores = responses.camelcase_to_underscores
    models_of_moto: Any = moto.core.models
    models_of_moto.CallbackResponse = cache(models_of_moto.CallbackResponse)
    regions: Any = botocore.regions
    provider, providers = regions.EndpointProvider, dict[tuple[int, int], Any]()

    def share_provider(ruleset_data: Any, partition_data: Any, **options: Any) -> Any:
        key = id(ruleset_data), id(partition_data)
        if len(providers) > 100:  # sessions with other loaders
            providers.clear()
        if key not in providers:  # the entry keeps both alive, so that no other object gets their ids
            made = provider(ruleset_data=ruleset_data, partition_data=partition_data, **options)
            providers[key] = made, ruleset_data, partition_data
        return providers[key][0]

    regions.EndpointProvider = share_provider
    random: Any = moto.moto_api._internal.moto_random.MotoRandom
    random.get_random_string = _random_string
    # One key signs the messages of all topics; moto makes one for each subscription.
    subscription: Any = moto.sns.models.Subscription
    made = subscription.private_key.__wrapped__
    key = cache(lambda: made(None))
    subscription.private_key = lambda _subscription: key()


_remember()


@cache
def models() -> Loader:
    """Return botocore's models of the services, parsed once for all simulators of this process."""
    return create_loader()


def _short_name(_: Any) -> str:
    return "Boto3"


def _no_proxies(*_: Any) -> dict[str, str]:
    return {}


@contextmanager
def unsigned() -> Iterator[None]:
    """Let requests carry their credentials without a computed signature, because neither moto nor a fake checks it.

    They also carry a short name of the client. botocore's lists the features in use and is built twice per request.
    """

    def add_credentials(signer: Any, request: Any) -> None:
        if signer.credentials is None:
            raise NoCredentialsError
        request.context["timestamp"] = get_current_datetime().strftime(SIGV4_TIMESTAMP)
        signer._modify_request_before_signing(request)
        scope = f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}"
        request.headers["Authorization"] = f"{scope}, SignedHeaders=host, Signature={'0' * 64}"

    with (
        mock.patch.object(SigV4Auth, "add_auth", add_credentials),
        mock.patch.object(UserAgentString, "to_string", _short_name),
    ):
        yield


@contextmanager
def kept_clients() -> Iterator[None]:
    """Let `boto3.client` return the client of an earlier call, unless the session's hooks or the settings changed.

    The code under test has clients of its own. Requests to moto pass no proxy.
    """
    kept: dict[Any, tuple[Any, Any]] = {}
    session: Any = boto3.DEFAULT_SESSION
    create = session.client

    def client(*names: Any, **options: Any) -> Any:
        settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        key = (names, *options.items(), *settings.items())
        root = session.events._emitter._handlers._root
        known, made = kept.get(key, (None, None))
        if known is not root:
            made = create(*names, **options)
            kept[key] = root, made
        return made

    with (
        mock.patch.object(session, "client", client),
        mock.patch.object(EndpointCreator, "_get_proxies", _no_proxies),
    ):
        yield
