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
from helpers import commit, ran, run
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
BUCKET = "speech"


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
        users.put_user_policy(
            UserName="reader", PolicyName="all", PolicyDocument=json.dumps(ALL)
        )
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


@pytest.fixture
def known(server, monkeypatch) -> None:
    """Have commands run as the user whom the server knows."""
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_ACCESS_KEY_ID", server.key)
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY", server.secret)
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def pushed(reproduced, server, known, tmp_path) -> Path:
    """Return a project that was pushed: what is in git to `shared.git` beside it, the rest to S3."""
    project = copied(reproduced, tmp_path / "project")
    run(project, "dvc", "remote", "add", "--default", "storage", f"s3://{BUCKET}/{tmp_path.name}")
    run(project, "dvc", "remote", "modify", "storage", "endpointurl", server.url)
    run(project, "dvc", "remote", "modify", "storage", "verify", "true")
    commit(project)
    run(tmp_path, "git", "init", "--quiet", "--bare", "shared.git")
    run(project, "git", "remote", "add", "origin", "../shared.git")
    run(project, "git", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    run(project, "dvc", "push", "--run-cache")
    return project


def cloned(project: Path, name: str) -> Path:
    """Return a clone as another machine makes it: nothing is in its cache."""
    run(project.parent, "git", "clone", "--quiet", "--branch", "main", "shared.git", name)
    return project.parent / name


def fails(folder: Path, *command: str) -> str:
    """Run a command that must fail, and return what it printed."""
    with pytest.raises(AssertionError, match="failed:") as failure:
        run(folder, *command)
    return str(failure.value)


def objects(project: Path, stage: str) -> dict[str, str]:
    """Return the names in the bucket of what a stage wrote, by path."""
    outs = yaml.safe_load((project / "dvc.lock").read_text("utf-8"))["stages"][stage]["outs"]
    prefix = f"{project.parent.name}/files/md5"
    return {out["path"]: f"{prefix}/{out['md5'][:2]}/{out['md5'][2:]}" for out in outs}


def test_a_clone_gets_everything_and_has_nothing_to_do(pushed):
    clone = cloned(pushed, "clone")
    run(clone, "dvc", "pull")
    assert outcome(clone) == outcome(pushed)
    assert "Data and pipelines are up to date" in run(clone, "dvc", "repro")
    assert run(clone, "git", "status", "--porcelain") == ""


def test_repro_pulls_instead_of_running(pushed):
    clone = cloned(pushed, "clone")
    assert ran(run(clone, "dvc", "repro", "--pull")) == []
    assert outcome(clone) == outcome(pushed)


def test_a_clone_that_goes_back_to_earlier_values_does_not_train(pushed):
    lock = pushed / "dvc.lock"
    params = (pushed / "params.yaml").read_text("utf-8")
    (pushed / "params.yaml").write_text(params.replace("lr: 0.0005", "lr: 0.005"), "utf-8")
    before = lock.read_bytes()
    assert "train" in ran(run(pushed, "dvc", "repro"))
    assert lock.read_bytes() != before
    run(pushed, "dvc", "push", "--run-cache")
    clone = cloned(pushed, "clone")
    (clone / "params.yaml").write_text((pushed / "params.yaml").read_text("utf-8"), "utf-8")
    assert ran(run(clone, "dvc", "repro", "--pull")) == ["evaluate"]
    assert outcome(clone) == outcome(pushed)


def test_an_experiment_comes_with_its_outputs(pushed):
    run(pushed, "dvc", "exp", "run", "--name", "faster", "-S", "train.lr=5e-3", "-S", "data.k=3")
    run(pushed, "dvc", "exp", "push", "origin", "faster")
    clone = cloned(pushed, "clone")
    run(clone, "dvc", "pull")
    run(clone, "dvc", "exp", "pull", "origin", "faster")
    assert "faster" in run(clone, sys.executable, "-m", "phonemes", "compare")
    run(clone, "dvc", "exp", "apply", "faster")
    assert ran(run(clone, "dvc", "repro")) == []
    assert outcome(clone) == outcome(pushed)


def test_results_come_without_the_data(pushed):
    clone = cloned(pushed, "clone")
    run(clone, "dvc", "pull", "train", "evaluate", "predict")
    assert not (clone / "data/corpus").exists()
    assert ran(run(clone, "dvc", "repro", "--allow-missing")) == []


def test_wrong_credentials_are_named(pushed, monkeypatch):
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY", "wrong")
    clone = cloned(pushed, "clone")
    assert "Forbidden" in fails(clone, "dvc", "pull")
    assert "Forbidden" in fails(clone, "dvc", "repro", "--pull")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delitem(helpers.ENVIRONMENT, name)
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setitem(helpers.ENVIRONMENT, "AWS_CONFIG_FILE", "/dev/null")
    assert "Unable to locate credentials" in fails(clone, "dvc", "pull")


def test_a_server_that_is_not_there_is_named(pushed):
    clone = cloned(pushed, "clone")
    run(clone, "dvc", "remote", "modify", "storage", "endpointurl", "http://127.0.0.1:9")
    assert "Could not connect to the endpoint URL" in fails(clone, "dvc", "pull")


def test_a_missing_or_damaged_model_is_named_and_can_be_pushed_again(pushed, server):
    model = objects(pushed, "train")["models/model.safetensors"]
    store = server.client("s3")
    store.put_object(Bucket=BUCKET, Key=model, Body=b"damaged")
    clone = cloned(pushed, "damaged")
    assert "models/model.safetensors" in fails(clone, "dvc", "pull")
    assert not (clone / "models/model.safetensors").exists()
    store.delete_object(Bucket=BUCKET, Key=model)
    assert "models/model.safetensors" in fails(cloned(pushed, "missing"), "dvc", "pull")
    assert "1 file pushed" in run(pushed, "dvc", "push")
    clone = cloned(pushed, "again")
    run(clone, "dvc", "pull")
    assert outcome(clone) == outcome(pushed)


def test_a_file_missing_from_a_folder_is_pushed_again_after_the_folders_own_object_is_removed(
    pushed, server
):
    folder = objects(pushed, "normalize")["data/normalized"]
    store = server.client("s3")
    files = json.loads(store.get_object(Bucket=BUCKET, Key=folder)["Body"].read())
    digest = next(file["md5"] for file in files if file["relpath"] == "train.npy")
    prefix = folder.rsplit("/", 2)[0]
    store.delete_object(Bucket=BUCKET, Key=f"{prefix}/{digest[:2]}/{digest[2:]}")
    assert f"failed to transfer '{digest}'" in fails(cloned(pushed, "clone"), "dvc", "pull")
    assert "Everything is up to date" in run(pushed, "dvc", "push")
    store.delete_object(Bucket=BUCKET, Key=folder)
    assert "2 files pushed" in run(pushed, "dvc", "push")
    run(cloned(pushed, "again"), "dvc", "pull")
