"""Imports objects from a local S3 service (moto) and the same files from the disk, and compares the logs byte by byte.

    python moto_check.py target/release/twinopt-import
"""

import gzip
import math
import os
import socket
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.exceptions

PROGRAM = os.path.abspath(sys.argv[1])
SITES, DAYS = 4, 45


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "wt") as file:
        file.write(text)


def exports(root):
    """Hive folders with one file per site and day, and 1,100 small files, which need two pages of a listing."""
    for site in range(SITES):
        for day in range(DAYS):
            rows = [
                f"2024-{1 + day // 28:02}-{1 + day % 28:02}T{hour:02}:00:00Z,{tag},{math.sin(site + day + hour / 7):.4f},192"
                for hour in range(24)
                for tag in ("FI-1", "TI-2")
            ]
            ending = "csv.gz" if day % 2 else "csv"
            write(f"{root}/export/site={site}/day{day:02}.{ending}", "Timestamp,Tagname,Value,Quality\n" + "\n".join(rows) + "\n")
    for i in range(1100):
        write(f"{root}/many/{i:04}.csv", f"time,x\n2024-01-01T00:{i // 60:02}:{i % 60:02}Z,{i}\n")


def run(project, source, more=(), expect=0, env=None):
    command = [PROGRAM, "import", "data/p", "--from", source, *more]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env={**os.environ, **(env or {})})
    assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def log(project):
    folder = f"{project}/data/p/log"
    return {name: open(f"{folder}/{name}", "rb").read() for name in sorted(os.listdir(folder))}


def main():
    with tempfile.TemporaryDirectory() as root:
        exports(root)
        port = socket.socket()
        port.bind(("127.0.0.1", 0))
        number = port.getsockname()[1]
        port.close()
        server = [os.path.join(os.path.dirname(sys.executable), "moto_server"), "-H", "127.0.0.1", "-p", str(number)]
        service = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            check(root, f"http://127.0.0.1:{number}")
        finally:
            service.terminate()
            service.wait()


def check(root, endpoint):
    keys = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    os.environ.update({**keys, "AWS_DEFAULT_REGION": "us-east-1"})
    client = boto3.client("s3")
    for _ in range(100):
        try:
            client.create_bucket(Bucket="logs")
            break
        except botocore.exceptions.EndpointConnectionError:
            time.sleep(0.2)
    files = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    for file in files:
        client.upload_file(file, "logs", os.path.relpath(file, root))
    print(f"{len(files)} objects uploaded")
    cases = [
        ("export/", ["--where", "site == '3'"]),
        ("export/site=2", []),
        ("export/site=2/*.csv.gz", ["--since", "2024-01-20"]),
        ("export/site=1/**/day0?.csv*", ["--every", "6h"]),
        ("export/site=0/day00.csv", []),
        ("many/", []),
    ]
    for number, (source, more) in enumerate(cases):
        local, remote = f"{root}/local{number}", f"{root}/remote{number}"
        for project in (local, remote):
            os.makedirs(f"{project}/data/p")
        run(local, f"{root}/{source}", more)
        start = time.time()
        run(remote, f"s3://logs/{source}", more)
        seconds = time.time() - start
        assert log(remote) == log(local) and log(local), source
        recipe = open(f"{remote}/data/p/import.toml").read()
        assert f's3://logs/{source}"' in recipe and "test" not in recipe and endpoint not in recipe, recipe
        print(f"s3://logs/{source} {' '.join(more)}: {len(log(local))} files, the same bytes, {seconds:.1f} s")
    # an object store also holds Parquet files; the months of another log are such files
    for name, content in log(f"{root}/local1").items():
        client.put_object(Bucket="logs", Key=f"parquet/{name}", Body=content)
    os.makedirs(f"{root}/parquet/data/p")
    run(f"{root}/parquet", "s3://logs/parquet/")
    assert log(f"{root}/parquet") == log(f"{root}/local1")
    # only what is new: the next day adds rows to the second month
    project = f"{root}/remote1"
    before = log(project)
    row = "2024-02-28T00:00:00Z,FI-1,1.5,192\n2024-02-28T00:00:00Z,TI-2,2.5,192\n"
    client.put_object(Bucket="logs", Key="export/site=2/new.csv", Body="Timestamp,Tagname,Value,Quality\n" + row)
    said = subprocess.run([PROGRAM, "import", "data/p"], cwd=project, capture_output=True, text=True)
    assert said.returncode == 0 and "1 file written, 1 unchanged" in said.stdout, said
    assert log(project)["2024-01.parquet"] == before["2024-01.parquet"]
    text = run(f"{root}/parquet", "s3://absent/x/", ["--replace"], expect=66)
    assert "there is no bucket `absent`" in text, text
    text = run(f"{root}/parquet", "s3://logs/exprt/", ["--replace"], expect=66)
    assert "no object matches; s3://logs contains export/" in text, text
    print("Parquet objects, new objects, a missing bucket and a missing folder: as expected")


if __name__ == "__main__":
    main()
