"""Why a client could not connect to the cluster of a source."""

from errno import EACCES, EINVAL, EIO, EPERM, ETIMEDOUT

import pytest

from rbdmigrate.sources.monitors import not_connected

_AES = "AQA5HgtrIeC/MxAAa06zAllXcR0WKnRs44NdXA=="
_AES256K = "AgAGHgtrgRo7EiAAaAPXeA2DhFm6+h6kZjWYfCYdhng/76FyJHUgvKbzn7w="


@pytest.mark.parametrize("errno", [EINVAL, EIO])  # of releases 16 and 18
def test_a_key_of_a_type_that_is_not_known_here(errno):
    error = not_connected("10.0.0.1", "client.reader", _AES256K, errno)
    assert (error.errno, error.transient) == (EPERM, False)
    assert "`ceph auth rotate client.reader --key_type aes`" in str(error)


@pytest.mark.parametrize(
    ("key", "errno", "wanted", "words"),
    [
        (_AES256K, EACCES, EPERM, "does not accept"),
        (_AES, EINVAL, EPERM, "does not accept"),
        (_AES, EIO, EIO, "cannot be reached"),
        ("no key", EIO, EIO, "cannot be reached"),
        (_AES256K, ETIMEDOUT, ETIMEDOUT, "does not answer"),
    ],
)
def test_other_reasons(key, errno, wanted, words):
    error = not_connected("10.0.0.1", "client.reader", key, errno)
    assert error.errno == wanted
    assert words in str(error)
    assert key not in str(error)
