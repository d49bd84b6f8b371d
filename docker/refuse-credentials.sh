#!/bin/sh
# refuse-credentials FOLDER: fail if the git configuration of the checkout in FOLDER holds a password or a token.
# It would go into the image, and with it to everybody who may pull the image. CI systems like to leave one there.
set -eu
configuration="$1/.git/config"
if [ ! -f "$configuration" ]; then
    echo "$configuration is missing: build the image from a git checkout (not an archive, a submodule or a worktree);" >&2
    echo "without its history a build cannot say which code made a model" >&2
    exit 1
fi
if grep -Eiq 'extraheader|https?://[^/@[:space:]]+@|^[[:space:]]*(password|token)[[:space:]]*=' "$configuration"; then
    echo "$configuration holds a credential, and would be copied into the image; remove it" >&2
    echo "(GitHub Actions: persist-credentials: false; a remote's address: git remote set-url NAME ADDRESS without it)" >&2
    exit 1
fi
