"""A store in a folder, and one on a real S3-compatible server that runs here."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from patchbay.adapters.config import ArtifactsConfig

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    os.environ.update(KEYS)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactsConfig:
    if request.param == "folder":
        return ArtifactsConfig(url=str(tmp_path / "artifacts"))
    endpoint: str = request.getfixturevalue("s3_endpoint")
    bucket = f"bucket-{abs(hash(tmp_path))}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
    return ArtifactsConfig(url=f"s3://{bucket}/artifacts", options={"endpoint_url": endpoint})
