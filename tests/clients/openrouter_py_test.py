"""The official Python client of OpenRouter, unchanged, against Farebox.

FAREBOX_BASE_URL          where the API is, such as http://127.0.0.1:8080/api/v1
FAREBOX_API_KEY           a key with credits
FAREBOX_PROVISIONING_KEY  a provisioning key of the same organization
FAREBOX_MODEL             the model to call, sandbox/echo if not set

Prints a line for each test and ends with 0 if all passed.
"""

import base64
import hashlib
import os
import sys
from datetime import datetime, timezone

import runner
from openrouter import OpenRouter
from openrouter.errors import OpenRouterError

BASE_URL = os.environ["FAREBOX_BASE_URL"]
MODEL = os.environ.get("FAREBOX_MODEL", "sandbox/echo")
HELLO = [{"role": "user", "content": "Hello, world"}]
# Milliseconds for one request. The sandbox answers at once; a busy machine does not.
TIMEOUT = 30_000


def client_with(key):
    return OpenRouter(api_key=key, server_url=BASE_URL, timeout_ms=TIMEOUT)


caller = client_with(os.environ["FAREBOX_API_KEY"])
manager = client_with(os.environ["FAREBOX_PROVISIONING_KEY"])


def refused(status, call):
    try:
        call()
    except OpenRouterError as caught:
        assert caught.status_code == status, f"status {caught.status_code} instead of {status}: {caught}"
        return caught
    raise AssertionError(f"nothing was refused with {status}")


def a_key_is_made_read_changed_and_deleted():
    ends = datetime(2100, 1, 1, tzinfo=timezone.utc)
    made = manager.api_keys.create(name="Worker", limit=2.5, limit_reset="monthly", expires_at=ends)
    assert made.key.startswith("sk-") and made.data.name == "Worker", made.data
    assert made.data.limit == 2.5 and made.data.limit_reset == "monthly" and made.data.expires_at == ends, made.data
    hash = made.data.hash
    assert hash == hashlib.sha256(made.key.encode()).hexdigest()
    assert [key.hash for key in manager.api_keys.list().data].count(hash) == 1
    assert manager.api_keys.get(hash=hash).data.label == made.data.label
    changed = manager.api_keys.update(hash=hash, name="Night worker", limit=4, disabled=True)
    assert changed.data.name == "Night worker" and changed.data.limit == 4 and changed.data.disabled, changed.data
    assert hash not in [key.hash for key in manager.api_keys.list().data]
    assert hash in [key.hash for key in manager.api_keys.list(include_disabled=True).data]
    refused(403, lambda: client_with(made.key).chat.send(model=MODEL, messages=HELLO))
    # The client takes nothing but `deleted: true` for an answer.
    manager.api_keys.delete(hash=hash)
    refused(404, lambda: manager.api_keys.get(hash=hash))
    refused(403, lambda: caller.api_keys.list())


def a_key_knows_itself():
    data = caller.api_keys.get_current_key_metadata().data
    assert data.label and data.usage >= 0 and data.is_management_key is False, data
    assert data.rate_limit.requests == -1 and data.allowed_data_regions == ["global"], data
    assert manager.api_keys.get_current_key_metadata().data.is_management_key


def credits_are_told():
    for client in (caller, manager):
        data = client.credits.get_credits().data
        assert data.total_credits > 0 and data.total_credits >= data.total_usage >= 0, data


def models_are_listed():
    listed = caller.models.list().result.data
    assert MODEL in [model.id for model in listed], listed


def a_model_answers_whole():
    answer = caller.chat.send(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage


def a_model_answers_in_parts():
    text, usage = "", None
    with caller.chat.send(model=MODEL, messages=HELLO, stream=True) as events:
        for event in events:
            for choice in event.choices:
                text += choice.delta.content or ""
            usage = event.usage or usage
    assert text and usage and usage.total_tokens > 0, (text, usage)


def a_call_tells_what_it_came_to():
    answer = caller.chat.send(model=MODEL, messages=HELLO, x_open_router_title="The Tests")
    data = caller.generations.get_generation(id=answer.id).data
    assert data.id == answer.id and data.model == MODEL and data.app_id is None, data
    assert data.tokens_prompt == answer.usage.prompt_tokens and data.total_cost > 0, data
    assert data.provider_responses[0].status == 200, data


def members_and_activity_are_told():
    members = manager.organization.list_members()
    found = members.result if hasattr(members, "result") else members
    assert found.data[0].role in ("org:admin", "org:member") and found.total_count >= 1, found
    assert isinstance(manager.analytics.get_user_activity().data, list)


def a_code_becomes_a_key():
    verifier = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = manager.o_auth.create_auth_code(
        callback_url="https://app.example/callback",
        code_challenge=challenge,
        code_challenge_method="S256",
        limit=1,
        key_label="An app",
    )
    made = manager.o_auth.exchange_auth_code_for_api_key(
        code=code.data.id, code_verifier=verifier, code_challenge_method="S256"
    )
    assert made.key.startswith("sk-") and made.user_id, made
    assert client_with(made.key).chat.send(model=MODEL, messages=HELLO).choices
    refused(
        403,
        lambda: manager.o_auth.exchange_auth_code_for_api_key(
            code=code.data.id, code_verifier=verifier, code_challenge_method="S256"
        ),
    )


sys.exit(
    runner.run(
        [
            a_key_is_made_read_changed_and_deleted,
            a_key_knows_itself,
            credits_are_told,
            models_are_listed,
            a_model_answers_whole,
            a_model_answers_in_parts,
            a_call_tells_what_it_came_to,
            members_and_activity_are_told,
            a_code_becomes_a_key,
        ]
    )
)
