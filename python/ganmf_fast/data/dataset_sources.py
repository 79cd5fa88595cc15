"""The public data sets that are known by name: where they are, their sums, sizes and formats."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ganmf_fast.data.log_formats import read_clicks, read_libraries, read_plays
from ganmf_fast.data.readers import Log
from ganmf_fast.data.sources import DataFile

MAX_BYTES = 2**30
"""Bytes that the member of an archive may have, unless its source says otherwise."""


@dataclass(frozen=True)
class Source:
    """Location of a data set, and its expected content.

    `archive_sha256` is None where no such checksum is published: the first copy, which must have
    the `archive_md5` if there is one, is recorded beside the archive, which is said once, and later
    ones must equal it; `sizes` are checked in any case. `max_bytes` is an upper bound of the
    archive, `max_unpacked` of the member.

    `addresses` are folders, asked in turn, by default that of GroupLens. A format of its own is
    read by `read`; its archive may be a ``.tar.gz``, or a ``.gz`` of the member alone. The first of
    `sizes` is a number of what `counts` says: interactions, records before those that repeat one
    are left out, or lines. Of a `rough` data set, whose publisher's numbers of users and items are
    not those that others find, it alone is checked.
    """

    archive: str
    folder: str
    member: str
    archive_sha256: str | None
    file_sha256: str | None
    sizes: tuple[int, int, int]
    timestamp: int | None = None
    separator: str = "\t"
    header: bool = False
    max_bytes: int = 2**23
    archive_md5: str | None = None
    file_md5: str | None = None
    max_unpacked: int = MAX_BYTES
    addresses: tuple[str, ...] = ()
    read: Callable[[DataFile], Log] | None = None
    counts: Literal["interactions", "records", "lines"] = "interactions"
    rough: bool = False

    @property
    def file(self) -> str:
        """Name of the data file."""
        return self.member.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """Name of the archive without its suffix: the usual folder of the unpacked archive."""
        return re.sub(r"\.(?:zip|tar\.gz|gz)$", "", self.archive)


SOURCES = {
    "ml-100k": Source(
        archive="ml-100k.zip",
        folder="movielens",
        member="ml-100k/u.data",
        archive_sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        file_sha256="06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
        sizes=(100_000, 943, 1_682),
        timestamp=3,
    ),
    "ml-1m": Source(
        archive="ml-1m.zip",
        folder="movielens",
        member="ml-1m/ratings.dat",
        archive_sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        file_sha256=None,
        sizes=(1_000_209, 6_040, 3_706),
        timestamp=3,
        separator="::",
    ),
    "hetrec2011": Source(
        archive="hetrec2011-movielens-2k-v2.zip",
        folder="hetrec2011",
        member="user_ratedmovies.dat",
        archive_sha256=None,
        file_sha256=None,
        sizes=(855_598, 2_113, 10_109),
        header=True,
        max_bytes=2**26,
    ),
    "lastfm": Source(
        archive="hetrec2011-lastfm-2k.zip",
        folder="hetrec2011",
        member="user_artists.dat",
        archive_sha256="6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c",
        file_sha256="427ad7a31ec0b09e81aacc359f2064a91e00645629626d5836ca204761604522",
        sizes=(92_834, 1_892, 17_632),
        header=True,
    ),
    # The sums of the next three are in several public repositories, beside the MD5 sums that
    # GroupLens publishes; of the last there is such an MD5 sum alone.
    "ml-10m": Source(
        archive="ml-10m.zip",
        folder="movielens",
        member="ml-10M100K/ratings.dat",
        archive_sha256="813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        file_sha256=None,
        sizes=(10_000_054, 69_878, 10_677),
        timestamp=3,
        separator="::",
        max_bytes=2**26,
    ),
    "ml-20m": Source(
        archive="ml-20m.zip",
        folder="movielens",
        member="ml-20m/ratings.csv",
        archive_sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        file_sha256=None,
        sizes=(20_000_263, 138_493, 26_744),
        timestamp=3,
        separator=",",
        header=True,
        max_bytes=2**28,
    ),
    "ml-25m": Source(
        archive="ml-25m.zip",
        folder="movielens",
        member="ml-25m/ratings.csv",
        archive_sha256="8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        file_sha256=None,
        sizes=(25_000_095, 162_541, 59_047),
        timestamp=3,
        separator=",",
        header=True,
        max_bytes=2**28,
    ),
    "ml-32m": Source(
        archive="ml-32m.zip",
        folder="movielens",
        member="ml-32m/ratings.csv",
        archive_sha256=None,
        file_sha256=None,
        sizes=(32_000_204, 200_948, 84_432),
        timestamp=3,
        separator=",",
        header=True,
        max_bytes=2**28,
        archive_md5="d472be332d4daa821edc399621853b57",
    ),
    # The MD5 sums are those of the record in Zenodo and of the readme. The numbers are those of the
    # readme: of artists, with a MusicBrainz id and without. Others find 359,349 users, of whom one
    # at least is a date, and fewer artists.
    "lastfm-360k": Source(
        archive="lastfm-dataset-360K.tar.gz",
        folder="",
        member="lastfm-dataset-360K/usersha1-artmbid-artname-plays.tsv",
        archive_sha256=None,
        file_sha256=None,
        sizes=(17_559_530, 359_347, 294_015),
        max_bytes=2**30,
        archive_md5="635e6ed3fc873aa4ba33aba0ebce02b1",
        file_md5="be672526eb7c69495c27ad27803148f1",
        max_unpacked=2**31,
        addresses=(
            "https://zenodo.org/records/6090214/files",
            "https://mtg.upf.edu/static/datasets/last.fm",
        ),
        read=read_plays,
        counts="lines",
        rough=True,
    ),
    # Its publisher states no sum; this one, and the numbers, are in several public repositories. Of
    # 5,153,209 games in 88,310 libraries, those of users who stand twice are left out.
    "steam": Source(
        archive="australian_users_items.json.gz",
        folder="",
        member="australian_users_items.json",
        archive_sha256="0b329f79ddf450aba0aad923c8cb6d1affac0c98efaf70242d22fd10987a8d99",
        file_sha256=None,
        sizes=(5_094_082, 70_912, 10_978),
        max_bytes=2**27,
        addresses=(
            "https://mcauleylab.ucsd.edu/public_datasets/data/steam",
            "https://datarepo.eng.ucsd.edu/mcauley_group/data/steam",
        ),
        read=read_libraries,
    ),
    # Microsoft's own address is closed since 2024. The sum is that of the copy which its library
    # for recommenders downloads; the numbers are in several public repositories.
    "mind-small": Source(
        archive="MINDsmall_train.zip",
        folder="",
        member="behaviors.tsv",
        archive_sha256="6ef97a271580b98ccfc4301ada55cc639423cb0576a78b8dcfcf74a4dbcc3194",
        file_sha256=None,
        sizes=(236_344, 50_000, 7_713),
        max_bytes=2**26,
        addresses=("https://huggingface.co/datasets/Recommenders/MIND/resolve/main",),
        read=read_clicks,
        counts="records",
    ),
}


@dataclass(frozen=True)
class ListsSource:
    """Location of a data set whose files have a line of items for each user.

    `files` are the names with their MD5 sum, or None where none is published; the SHA-256 of the
    first copy is recorded as that of an archive is. `addresses` are folders, asked in turn. Of the
    sizes, the interactions are those of all files together. `counted` is as for `read_item_lists`.
    """

    files: Mapping[str, str | None]
    addresses: tuple[str, ...]
    sizes: tuple[int, int, int]
    counted: bool = False
    max_bytes: int = 2**26


_REC_ZOO = "https://huggingface.co/datasets/reczoo/{}/resolve/main"
_LIGHT_GCN = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/{}"

LISTS_SOURCES = {
    "gowalla": ListsSource(
        files={
            "train.txt": "5eec1eb2edb8dd648377d348b8e136cf",
            "test.txt": "c04e2c4bcd2389f53ed8281816166149",
        },
        addresses=(_REC_ZOO.format("Gowalla_m1"), _LIGHT_GCN.format("gowalla")),
        sizes=(1_027_370, 29_858, 40_981),
    ),
    "yelp2018": ListsSource(
        files={"train.txt": None, "test.txt": None},
        addresses=(_LIGHT_GCN.format("yelp2018"),),
        sizes=(1_561_406, 31_668, 38_048),
    ),
    "amazon-book": ListsSource(
        files={
            "train.txt": "c916ecac04ca72300a016228258b41ed",
            "test.txt": "30f8ccfea18d25007ba9fb9aba4e174d",
        },
        addresses=(_REC_ZOO.format("AmazonBooks_m1"), _LIGHT_GCN.format("amazon-book")),
        sizes=(2_984_108, 52_643, 91_599),
    ),
    "citeulike-a": ListsSource(
        files={"users.dat": None},
        addresses=("https://raw.githubusercontent.com/js05212/citeulike-a/master",),
        sizes=(204_986, 5_551, 16_980),
        counted=True,
        max_bytes=2**23,
    ),
}


@dataclass(frozen=True)
class PublishedSplits:
    """The five splits of a data set that the authors of the GANMF paper published.

    `stem` begins the names of the files in their repository, `sha256` maps each part to its sum.
    """

    stem: str
    sha256: Mapping[str, str]


PUBLISHED_SPLITS = {
    "lastfm": PublishedSplits(
        "LastFM",
        {
            "train": "2aa9e5f5267db8a8adb0451f026a0874721d8077e9c7742d6f93cb430582a33f",
            "test": "c6d053ca2be8c76821ef29ced1da981c54b1d98a40323b2b7050112fc11dc53b",
            "train_small": "e7b82ac5f505bd8b6ae2adf6e7ef9009cded79827448225edc725d127d612b1a",
            "validation": "2ab5ee9001c5b7b76313f34e857f98dde2207926a51429a0082412b9ab909518",
            "early_stop": "5317dbb4b5012f6e790a2ec8a99ace3f7337d92749a9121c1bbe3f327b323f86",
        },
    ),
    "hetrec2011": PublishedSplits(
        "Movielenshetrec2011",
        {
            "train": "29156e5d294c438b5c7ec8ecb39617efb74d59709de55b1c2777006d9557872f",
            "test": "f5d53510c835eacb17a5f738ff04a51ef06edd2c06b4d25b78aca762f72fc978",
            "train_small": "a4865e38a3842832f8801ebebc5253d585265644e07922b572ad0343fe4aa937",
            "validation": "51d957bfd2b141739a208f75c2c025bc96d04748b0f4cbce247a93561282727b",
            "early_stop": "8936570fe5ca56f1979300f98a7c59ecfe3d8f3e1747925277734877469e1988",
        },
    ),
    "ml-1m": PublishedSplits(
        "Movielens1M",
        {
            "train": "b888abed7c0165a00e7f871413aec1208fb8eea9f9b6b774f06727621a8487e3",
            "test": "5e488e3101b8f8a290680b6cf04a606628cfc21b0d70f8e6b3da60ab9421601d",
            "train_small": "e52dfa1e17813b9c51f01427dcd6c6107697671f62f1f4c27c9522167eb9b4e1",
            "validation": "7f34dffd38158ecde463431abc2ec68b5c5f95e484cd8942e585fbea801c1bef",
            "early_stop": "9c1821e960aa915905479ce5d3f3201474dc8939aac74584f48a8b578203973b",
        },
    ),
}
