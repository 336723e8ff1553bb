"""LiteLLM as a client, unchanged, against Farebox.

FAREBOX_BASE_URL   where the API is, such as http://127.0.0.1:8080/api/v1
FAREBOX_API_KEY    a key with credits
FAREBOX_POOR_KEY   a key of an organization without credits

Prints a line for each test and ends with 0 if all passed.
"""

import os
import sys

# Its list of prices comes with the package; nothing is fetched.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import runner  # noqa: E402

BASE_URL = os.environ["FAREBOX_BASE_URL"]
KEY = os.environ["FAREBOX_API_KEY"]
HELLO = [{"role": "user", "content": "Hello, world"}]
# Seconds for one request. The sandbox answers at once; a busy machine does not.
TIMEOUT = 30
litellm.telemetry = False
litellm.suppress_debug_info = True


def ask(model="openrouter/sandbox/echo", key=KEY, **more):
    return litellm.completion(
        model=model, api_base=BASE_URL, api_key=key, messages=HELLO, timeout=TIMEOUT, num_retries=0, **more
    )


def answers_as_openrouter_and_as_openai():
    for model in ["openrouter/sandbox/echo", "openai/sandbox/echo"]:
        answer = ask(model)
        assert answer.choices[0].message.content == "You said: Hello, world", answer
        assert answer.usage.total_tokens > 0, answer
    assert ask().usage.cost > 0, "the cost is passed on"


def streams():
    text, usage = "", None
    for chunk in ask(stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            text += choice.delta.content or ""
        usage = getattr(chunk, "usage", None) or usage
    assert text == "You said: Hello, world", text
    assert usage.total_tokens > 0, usage


def makes_vectors():
    answer = litellm.embedding(
        model="openai/sandbox/embed", api_base=BASE_URL, api_key=KEY, input=["the cat", "a dog"], timeout=TIMEOUT
    )
    assert len(answer.data) == 2 and answer.usage.prompt_tokens > 0, answer


def answers_by_the_messages_api():
    answer = litellm.completion(
        model="anthropic/sandbox/echo",
        api_base=BASE_URL.removesuffix("/v1"),
        api_key=KEY,
        messages=HELLO,
        max_tokens=64,
        timeout=TIMEOUT,
        num_retries=0,
    )
    assert answer.choices[0].message.content == "You said: Hello, world", answer


def hears_of_missing_credits_with_the_status():
    try:
        ask(key=os.environ["FAREBOX_POOR_KEY"])
    except Exception as caught:
        assert getattr(caught, "status_code", None) == 402 or "Insufficient credits" in str(caught), repr(caught)
        return
    raise AssertionError("nothing was refused")


TESTS = [
    answers_as_openrouter_and_as_openai,
    streams,
    makes_vectors,
    answers_by_the_messages_api,
    hears_of_missing_credits_with_the_status,
]

if __name__ == "__main__":
    sys.exit(runner.run(TESTS))
