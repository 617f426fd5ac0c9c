"""A remote on S3 brings data, results and experiments to a clone that has nothing, untrained.

The server is moto's, on this machine; it refuses whoever it does not know. It needs the extra
`test-s3`.
"""

import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import helpers
import pytest
import yaml
from helpers import commit, ran, run, set_params
from pipeline.outcomes import copied, outcome

PACKAGES = ("dvc_s3", "moto", "boto3", "flask", "flask_cors")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, PACKAGES)), reason="pip install -e '.[test-s3]'"
    ),
]

ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
SETTING_UP = 4  # requests that the server takes from anybody: those of `server`
BUCKET, PREFIX = "speech", "phonemes"


class Server(NamedTuple):
    """A running server, and who it knows."""

    url: str
    key: str
    secret: str

    def client(self, service: str):
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Start a server with an empty bucket and one user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        env=helpers.ENVIRONMENT | {"INITIAL_NO_AUTH_ACTION_COUNT": str(SETTING_UP)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        anybody = Server(f"http://127.0.0.1:{port}", "anybody", "anything")
        users = anybody.client("iam")
        users.create_user(UserName="reader")
        users.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(ALL))
        key = users.create_access_key(UserName="reader")["AccessKey"]
        anybody.client("s3").create_bucket(Bucket=BUCKET)
        yield Server(anybody.url, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody listens on {port}")


@pytest.fixture(scope="module")
def known(server) -> Iterator[None]:
    """Have commands run as the user whom the server knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(helpers.ENVIRONMENT, "AWS_ACCESS_KEY_ID", server.key)
        patch.setitem(helpers.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY", server.secret)
        patch.setitem(helpers.ENVIRONMENT, "AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="module")
def pushed(reproduced, server, known, tmp_path_factory) -> Path:
    """Return a project that was pushed: git to `shared.git` beside it, the rest to S3."""
    folder = tmp_path_factory.mktemp("pushed")
    project = copied(reproduced, folder / "project")
    run(project, "dvc", "remote", "add", "--default", "storage", f"s3://{BUCKET}/{PREFIX}")
    run(project, "dvc", "remote", "modify", "storage", "endpointurl", server.url)
    run(project, "dvc", "remote", "modify", "storage", "verify", "true")
    commit(project)
    run(folder, "git", "init", "--quiet", "--bare", "shared.git")
    run(project, "git", "remote", "add", "origin", str(folder / "shared.git"))
    run(project, "git", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    run(project, "dvc", "push", "--run-cache")
    return project


@pytest.fixture
def project(pushed, tmp_path) -> Path:
    """Return a pushed project that may be changed."""
    return copied(pushed, tmp_path / "project")


def cloned(project: Path, folder: Path) -> Path:
    """Clone as another machine does: nothing is in the cache."""
    shared = run(project, "git", "remote", "get-url", "origin").strip()
    run(folder.parent, "git", "clone", "--quiet", "--branch", "main", shared, str(folder))
    return folder


def fails(folder: Path, *command: str) -> str:
    """Run a command that must fail, and return what it printed."""
    with pytest.raises(AssertionError, match="failed:") as failure:
        run(folder, *command)
    return str(failure.value)


def name(digest: str) -> str:
    """Return an object's name in the bucket."""
    return f"{PREFIX}/files/md5/{digest[:2]}/{digest[2:]}"


def objects(project: Path, stage: str) -> dict[str, str]:
    """Return the names in the bucket of what a stage wrote, by path."""
    outs = yaml.safe_load((project / "dvc.lock").read_text("utf-8"))["stages"][stage]["outs"]
    return {out["path"]: name(out["md5"]) for out in outs}


def test_a_clone_gets_everything_and_has_nothing_to_do(pushed, tmp_path):
    clone = cloned(pushed, tmp_path / "clone")
    run(clone, "dvc", "pull")
    assert outcome(clone) == outcome(pushed)
    assert "Data and pipelines are up to date" in run(clone, "dvc", "repro")
    assert run(clone, "git", "status", "--porcelain") == ""


def test_repro_pulls_instead_of_running(pushed, tmp_path):
    clone = cloned(pushed, tmp_path / "clone")
    assert ran(run(clone, "dvc", "repro", "--pull")) == []
    assert outcome(clone) == outcome(pushed)


def test_values_that_were_trained_elsewhere_are_not_trained_again(project, tmp_path):
    set_params({"train": {"lr": 5e-3}}, project)
    assert "train" in ran(run(project, "dvc", "repro"))
    run(project, "dvc", "push", "--run-cache")  # nothing is committed
    clone = cloned(project, tmp_path / "clone")
    set_params({"train": {"lr": 5e-3}}, clone)
    assert ran(run(clone, "dvc", "repro", "--pull")) == ["evaluate"]
    assert outcome(clone) == outcome(project)


def test_an_experiment_comes_with_its_outputs(project, tmp_path):
    run(project, "dvc", "exp", "run", "--name", "faster", "-S", "train.lr=1e-2", "-S", "data.k=3")
    run(project, "dvc", "exp", "push", "origin", "faster")
    clone = cloned(project, tmp_path / "clone")
    run(clone, "dvc", "pull")
    run(clone, "dvc", "exp", "pull", "origin", "faster")
    assert "faster" in run(clone, sys.executable, "-m", "phonemes", "compare")
    run(clone, "dvc", "exp", "apply", "faster")
    assert ran(run(clone, "dvc", "repro")) == []
    assert outcome(clone) == outcome(project)


def test_results_come_without_the_data(pushed, tmp_path):
    clone = cloned(pushed, tmp_path / "clone")
    run(clone, "dvc", "pull", "train", "evaluate", "predict")
    assert not (clone / "data/corpus").exists()
    assert ran(run(clone, "dvc", "repro", "--allow-missing")) == []


def test_wrong_and_missing_credentials_are_named(pushed, tmp_path, monkeypatch):
    clone = cloned(pushed, tmp_path / "clone")
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY", "wrong")
    assert "Forbidden" in fails(clone, "dvc", "pull")
    assert "Forbidden" in fails(clone, "dvc", "repro", "--pull")
    empty = tmp_path / "empty"
    empty.touch()
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delitem(helpers.ENVIRONMENT, variable)
    for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setitem(helpers.ENVIRONMENT, variable, str(empty))
    assert "Unable to locate credentials" in fails(clone, "dvc", "pull")


def test_a_server_that_is_not_there_is_named(pushed, tmp_path):
    clone = cloned(pushed, tmp_path / "clone")
    run(clone, "dvc", "remote", "modify", "storage", "endpointurl", "http://127.0.0.1:9")
    assert "Could not connect to the endpoint URL" in fails(clone, "dvc", "pull")


def test_a_damaged_or_missing_model_is_named_and_can_be_pushed_again(project, server, tmp_path):
    model = objects(project, "train")["models/model.safetensors"]
    store = server.client("s3")
    store.put_object(Bucket=BUCKET, Key=model, Body=b"damaged")
    clone = cloned(project, tmp_path / "clone")
    assert "models/model.safetensors" in fails(clone, "dvc", "pull")
    assert not (clone / "models/model.safetensors").exists()
    store.delete_object(Bucket=BUCKET, Key=model)
    assert "models/model.safetensors" in fails(clone, "dvc", "pull")
    assert "1 file pushed" in run(project, "dvc", "push")
    run(clone, "dvc", "pull")
    assert outcome(clone) == outcome(project)


def test_a_file_missing_from_a_folder_is_pushed_again_once_the_folders_object_is_removed(
    project, server, tmp_path
):
    folder = objects(project, "normalize")["data/normalized"]
    store = server.client("s3")
    files = json.loads(store.get_object(Bucket=BUCKET, Key=folder)["Body"].read())
    digest = next(file["md5"] for file in files if file["relpath"] == "train.npy")
    store.delete_object(Bucket=BUCKET, Key=name(digest))
    clone = cloned(project, tmp_path / "clone")
    assert f"failed to transfer '{digest}'" in fails(clone, "dvc", "pull")
    assert "Everything is up to date" in run(project, "dvc", "push")
    store.delete_object(Bucket=BUCKET, Key=folder)
    assert "2 files pushed" in run(project, "dvc", "push")
    run(clone, "dvc", "pull")
    assert outcome(clone) == outcome(project)
