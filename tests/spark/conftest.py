"""One Spark session for all tests of vwlite.spark, which run by `make test-spark`: elsewhere there is no pyspark."""

from importlib.util import find_spec

import pytest

if find_spec("pyspark") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def spark():
    """A session of two threads, whose tasks may fail three times."""
    from vwlite.spark import session

    # two users of one machine must not meet in a metastore or a warehouse
    found = session(
        "local[2,4]",
        spark__driver__memory="1500m",
        spark__sql__shuffle__partitions="3",
        spark__driver__extraJavaOptions="-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        spark__sql__session__timeZone="UTC",
        spark__sql__adaptive__enabled="false",
        spark__sql__codegen__wholeStage="false",  # jobs of few rows: compiling takes longer than running
        spark__sql__codegen__factoryMode="NO_CODEGEN",
        spark__sql__warehouse__dir="/nonexistent/warehouse",
        spark__sql__ui__retainedExecutions="5",
    )
    found.sparkContext.setLogLevel("OFF")
    yield found
    found.stop()
