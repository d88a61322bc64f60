"""The import policy: which files and hosts may be imported from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.import_policy import ImportPolicy, parse_import_policy

OPEN = ImportPolicy(folders=("/srv/images", "/mnt"))


def test_without_folders_no_file_is_open():
    assert "no folder is open" in ImportPolicy().refuse_file("/srv/images/a", "/srv/images/a")


FILES = [
    ("/srv/images/a.raw", "/srv/images/a.raw", None),
    ("/srv/images/sub/a.raw", "/mnt/elsewhere/a.raw", None),
    ("/srv/images", "/srv/images", None),
    ("/srv/images2/a", "/srv/images2/a", "only /srv/images, /mnt is open"),
    ("/etc/shadow", "/etc/shadow", "only /srv/images, /mnt is open"),
    ("/srv/images/../../etc/shadow", "/etc/shadow", "only /srv/images, /mnt is open"),
    ("/srv/images/link", "/etc/shadow", "a symbolic link leads out"),
    ("//etc/shadow", "/etc/shadow", "only /srv/images, /mnt is open"),
]


@pytest.mark.parametrize(("path", "real", "refused"), FILES)
def test_files_must_be_in_a_folder_before_and_after_links_are_followed(path, real, refused):
    sentence = OPEN.refuse_file(path, real)
    assert (sentence is None) if refused is None else (refused in sentence)


def test_the_root_folder_opens_everything():
    assert ImportPolicy(folders=("/",)).refuse_file("/etc/shadow", "/etc/shadow") is None


FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:42::42",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:00a9:fe00::",
    "2002:a9fe:a9fe::1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_link_local_and_metadata_addresses_are_closed_whatever_the_name(address):
    assert "metadata" in ImportPolicy().refuse_address("images.example", address)
    assert "metadata" in ImportPolicy(hosts=("images.example",)).refuse_address(
        "images.example", address
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.1", "2001:db8::1"])
def test_all_others_are_open_by_default(address):
    assert ImportPolicy().refuse_address("images.example", address) is None


HOSTS = [
    (("images.example",), "images.example", "10.0.0.7", True),
    (("images.example",), "IMAGES.example.", "10.0.0.7", True),
    (("images.example",), "other.example", "10.0.0.7", False),
    (("*.example",), "images.example", "10.0.0.7", True),
    (("*.example",), "example", "10.0.0.7", False),
    (("*.example",), "notexample", "10.0.0.7", False),
    (("10.0.0.0/8",), "anything", "10.9.8.7", True),
    (("10.0.0.0/8",), "anything", "11.0.0.1", False),
    (("10.0.0.7",), "anything", "::ffff:10.0.0.7", True),
    (("2001:db8::/32",), "anything", "2001:db8::7", True),
    (("169.254.0.0/16",), "anything", "169.254.169.254", True),
    (("images.example", "10.0.0.0/8"), "other", "10.1.1.1", True),
]


@pytest.mark.parametrize(("hosts", "host", "address", "allowed"), HOSTS)
def test_an_allow_list_is_by_name_or_by_address(hosts, host, address, allowed):
    assert (ImportPolicy(hosts=hosts).refuse_address(host, address) is None) is allowed


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_no_address_is_refused(host, address):
    sentence = ImportPolicy().refuse_address(host, address)
    assert sentence is None or isinstance(sentence, str)


def test_options_are_read_with_commas_and_spaces():
    policy = parse_import_policy("/srv/images/, /mnt", "*.Example 10.0.0.0/8,fd00::/8")
    assert policy == ImportPolicy(("/srv/images", "/mnt"), ("*.example", "10.0.0.0/8", "fd00::/8"))
    assert parse_import_policy("", " ") == ImportPolicy()


@pytest.mark.parametrize(
    ("folders", "hosts"),
    [("images", ""), ("", "http://h"), ("", "a/b"), ("", "*"), ("", "*."), ("", "10.0.0.0/99")],
)
def test_options_that_mean_nothing_are_refused(folders, hosts):
    with pytest.raises(ValueError, match="is no"):
        parse_import_policy(folders, hosts)
