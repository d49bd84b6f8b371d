"""The commits of a data registry: read and made without a working copy.

A registry is a git repository that holds one small ``.dvc`` file for each
tracked folder. Commits are put together from objects in a bare mirror, so that
no checkout, lock, hook, filter or signature of anybody's configuration takes
part, and pushed only onto the commit they were made from: of two writers the
slower one is told so.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from nightshift.errors import DataRegistryBusyError, DataRegistryError, UnavailableError
from nightshift.files import digest_of
from nightshift.lineage.git import Answer, git

BRANCH = "refs/heads/main"
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")
PUSH = ("push", "--quiet", "--no-verify", "--porcelain")
RACES = (
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "reference already exists",
    "incorrect old value",
    "stale info",
)
"""How git says that somebody else was faster to move the branch."""
OWN_HABITS = """\
[core]
	hooksPath = hooks
[receive]
	denyNonFastForwards = true
	denyDeletes = true
"""
"""A local registry runs no hooks but its own, whatever its user's configuration says, and forgets nothing."""
LOCK_SECONDS = 60.0
AUTHOR = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Nightshift"), ("EMAIL", "nightshift@localhost"))
}


class History:
    """The one branch of the registry at ``url``, seen through a mirror in ``scratch``.

    The mirror is a cache: it may be deleted, and processes may share it.
    """

    def __init__(self, url: str, scratch: Path) -> None:
        self.url = absolute(url)
        self._scratch = scratch.absolute()
        self._last_refusal = ""
        self._mirror = self._scratch / f"mirror-{digest_of(self.url)[:12]}.git"

    @property
    def is_local(self) -> bool:
        """Whether the registry is a folder of this machine, which we may make."""
        return Path(self.url).is_absolute()

    def create(self, files: Mapping[str, str]) -> None:
        """Make the repository if it is a local folder and not there, and its first commit if it has none."""
        if self.is_local and not (Path(self.url) / "HEAD").exists():
            _make_bare(Path(self.url))
        if self.head() is None and not self.push(self.commit(None, files, "Make the data registry")):
            assert self.head() is not None, "a push is refused only where another one was faster"

    def head(self) -> str | None:
        """Return the newest commit, none if the registry has none or was never made."""
        if self.is_local and not (Path(self.url) / "HEAD").exists():
            return None
        self._make_mirror()
        try:
            with FileLock(f"{self._mirror}.lock", timeout=LOCK_SECONDS):
                fetched = self._fetch()
                if any(sign in fetched.complaint for sign in RACES):
                    fetched = self._fetch()  # the git of a killed process was at it, and holds no lock of ours
        except Timeout as error:
            raise DataRegistryBusyError(
                f"{self._mirror}.lock was held for {LOCK_SECONDS:.0f} s by another process; try again"
            ) from error
        if "couldn't find remote ref" in fetched.complaint:
            return None
        if not fetched.ok:
            raise UnavailableError(
                f"the data registry {self.url} cannot be read: {fetched.complaint}; see whether it is reachable"
            )
        return git("rev-parse", "--verify", BRANCH, where=self._mirror).text

    def resolve(self, commit: str | None) -> str | None:
        """Return ``commit`` once it is at hand (fetched if need be), or the newest for none.

        Raises
        ------
        DataRegistryError
            If the registry has no such commit.
        """
        if commit is None:
            return self.head()
        if not self._has(commit):
            self.head()
        if not self._has(commit):
            raise DataRegistryError(
                f"the data registry {self.url} has no commit {commit}; was its history replaced, "
                "or does the lineage belong to another registry?"
            )
        return commit

    def read(self, path: str, commit: str) -> str | None:
        """Return the text of a file at a commit, none if it is not there."""
        found = git("cat-file", "blob", f"{commit}:{path}", where=self._mirror)
        return found.out.decode() if found.ok else None

    def files(self, commit: str) -> list[str]:
        """Return the paths of all files at a commit."""
        listed = git("ls-tree", "-r", "-z", "--name-only", commit, where=self._mirror)
        _expect(listed, f"cannot list commit {commit} of {self.url}")
        return [name for name in listed.out.decode().split("\0") if name]

    def last_change(self, path: str, commit: str) -> str:
        """Return the newest commit, not after ``commit``, that changed the file."""
        found = git("log", "-1", "--format=%H", commit, "--", path, where=self._mirror)
        _expect(found, f"cannot find when {path} changed in {self.url}")
        return found.text

    def commit(self, parent: str | None, files: Mapping[str, str], message: str) -> str:
        """Return a new commit on ``parent`` in which ``files`` have these texts; nobody sees it before a push."""
        self._make_mirror()
        with TemporaryDirectory(dir=self._scratch, prefix="index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if parent:
                self._ask("read-tree", parent, environment=index)
            for path, text in files.items():
                blob = self._ask("hash-object", "-w", "--no-filters", "--stdin", stdin=text.encode())
                self._ask("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environment=index)
            tree = self._ask("write-tree", environment=index)
        onto = ["-p", parent] if parent else []
        return self._ask("commit-tree", tree, *onto, stdin=message.encode(), environment=AUTHOR)

    @property
    def last_refusal(self) -> str:
        """What git said when it last refused a push as outrun; empty if it never did."""
        return self._last_refusal

    def push(self, commit: str) -> bool:
        """Make ``commit`` the newest one; False if the registry has moved on since its parent.

        Raises
        ------
        UnavailableError
            If the registry cannot be written for another reason.
        """
        pushed = git(*PUSH, "--", self.url, f"{commit}:{BRANCH}", where=self._mirror)
        if pushed.ok:
            return True
        said = f"{pushed.text}\n{pushed.complaint}"
        if any(sign in said for sign in RACES):
            self._last_refusal = " ".join(said.split())[-400:]
            return False
        raise UnavailableError(f"the data registry {self.url} cannot be written: {pushed.complaint}")

    def _fetch(self) -> Answer:
        return git(*FETCH, "--", self.url, f"{BRANCH}:{BRANCH}", where=self._mirror)

    def _make_mirror(self) -> None:
        if not (self._mirror / "HEAD").exists():
            _make_bare(self._mirror)

    def _has(self, commit: str) -> bool:
        self._make_mirror()
        return git("cat-file", "-e", f"{commit}^{{commit}}", where=self._mirror).ok

    def _ask(self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> str:
        answer = git(*arguments, where=self._mirror, stdin=stdin, environment=environment)
        _expect(answer, f"git {arguments[0]} failed in {self._mirror}")
        return answer.text


def absolute(address: str) -> str:
    """Return the address so that it means the same in every working folder.

    >>> absolute("git@example.org:team/data.git"), absolute("s3://bucket/data"), absolute("/data")
    ('git@example.org:team/data.git', 's3://bucket/data', '/data')
    """
    is_folder = "://" not in address and ":" not in address.partition("/")[0]
    return str(Path(address).absolute()) if is_folder else address


def _make_bare(folder: Path) -> None:
    """Make an empty bare repository; of several that try at once one succeeds, and the others use its."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True) as draft:
        made = git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", where=Path(draft))
        _expect(made, f"cannot make a repository at {folder}")
        with (Path(draft) / "config").open("a") as config:
            config.write(OWN_HABITS)
        try:
            Path(draft).rename(folder)
        except OSError as error:
            if not (folder / "HEAD").exists():
                raise DataRegistryError(
                    f"cannot make a repository at {folder}: {error}; is something else in its place?"
                ) from error


def _expect(answer: Answer, otherwise: str) -> None:
    if not answer.ok:
        raise DataRegistryError(f"{otherwise}: {answer.complaint}")
