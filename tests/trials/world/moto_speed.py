"""Cache work that boto3 and moto repeat for every simulator and every row. It used most of a scenario's time."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import botocore.hooks
import botocore.useragent
import moto.core.responses
import moto.sns.models
from botocore.auth import SigV4Auth
from botocore.loaders import Loader, create_loader
from botocore.model import StructureShape
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.parsing import ast_nodes


def _copied(node: dict[str, Any]) -> dict[str, Any]:
    """Copy a client's tree of event handlers, as `_PrefixTrie._recursive_copy` does, in a third of the time."""
    return {
        key: botocore.hooks.NodeList(value.first[:], value.middle[:], value.last[:])
        if isinstance(value, botocore.hooks.NodeList)
        else _copied(value)
        if isinstance(value, dict)
        else value
        for key, value in node.items()
    }


def _walk_expressions_by_type() -> None:
    """Look up the kind of an update expression's nodes by type. moto's own way asks abstract classes, which is slow."""
    nodes: Any = ast_nodes
    is_node: Any = cache(lambda kind: issubclass(kind, nodes.Node))
    has_clauses: Any = cache(lambda kind: issubclass(kind, (nodes.Expression, nodes.UpdateExpressionFunction)))
    processed: dict[tuple[type, type], bool] = {}

    def traverse(instance: Any, node: Any, place: int = -1) -> Any:
        if not is_node(type(node)):
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

    nodes.DepthFirstTraverser.traverse_node_recursively = traverse
    nodes.Node.find_clauses = find_clauses


def _remember() -> None:
    """Cache pure functions of botocore and moto. This changes no answer, so it holds for all of the process."""
    hooks: Any = botocore.hooks
    hooks._PrefixTrie._recursive_copy = lambda _trie, node: _copied(node)
    aliaser: Any = botocore.hooks.EventAliaser
    make, names = aliaser.__init__, dict[str, str]()

    def share_names(instance: Any, *arguments: Any) -> None:
        make(instance, *arguments)
        if instance._event_aliases == botocore.hooks.EVENT_ALIASES:
            instance._alias_name_cache = names

    aliaser.__init__ = share_names
    agent: Any = botocore.useragent
    agent.sanitize_user_agent_string_component = cache(agent.sanitize_user_agent_string_component)
    _walk_expressions_by_type()
    responses: Any = moto.core.responses
    responses.method_names_from_class = cache(responses.method_names_from_class)
    responses.camelcase_to_underscores = cache(responses.camelcase_to_underscores)
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


@contextmanager
def unsigned() -> Iterator[None]:
    """Let requests carry their credentials without a computed signature, because neither moto nor a fake checks it."""
    with mock.patch.multiple(SigV4Auth, canonical_request=lambda *_: "", signature=lambda *_: "0" * 64):
        yield


@contextmanager
def plain_rows() -> Iterator[None]:
    """Copy DynamoDB's values into responses unchanged.

    moto looks for each of an AttributeValue's ten members, under several names. The values already have the shape of
    the response. Binary values do not, but the ledger has none.
    """
    serialize: Any = ResponseSerializer._serialize_type_structure

    def as_it_is(
        serializer: Any, serialized: MutableMapping[str, Any], value: Any, shape: StructureShape, key: str
    ) -> None:
        if key and shape.name == "AttributeValue" and isinstance(value, dict) and "B" not in value:
            serialized[key] = value
        else:
            serialize(serializer, serialized, value, shape, key)

    with mock.patch.object(ResponseSerializer, "_serialize_type_structure", as_it_is):
        yield
