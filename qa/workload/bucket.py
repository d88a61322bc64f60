"""Files in a bucket of a cluster's object gateway, for imports over S3."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3


def upload(
    path: Path, access: "Mapping[str, str]", bucket: str, public: bool = False
) -> "dict[str, Any]":
    """Upload a file into a new bucket and return the stream object that reads it.

    ``access``: endpoint, access_key and secret_key, as ``Cluster.s3()`` returns them. ``public``:
    all who have its URL may read the object, without a key.
    """
    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="default",
    )
    client.create_bucket(Bucket=bucket)
    client.upload_file(
        str(path), bucket, path.name, ExtraArgs={"ACL": "public-read"} if public else {}
    )
    return {
        "type": "s3",
        "url": f"{access['endpoint']}/{bucket}/{path.name}",
        "access_key": access["access_key"],
        "secret_key": access["secret_key"],
    }
