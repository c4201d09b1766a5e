#!/usr/bin/env python3
"""Print the body that GitHub POSTs for a push, made from a real repository.

    github_push.py REPO [--branch main] [--before SHA] [--full-name acme/handbook] [--clone-url URL]

The shape is that of GitHub's `push` event (docs.github.com, webhook events and payloads). Before is the parent of the
oldest commit told, or forty zeros for a new branch.
"""
import argparse
import json
import os
import subprocess

ZERO = "0" * 40


def git(repo, *args):
    return subprocess.run(["git", "-C", repo, *args], check=True, capture_output=True, text=True).stdout.strip()


def user(login):
    number = sum(map(ord, login)) + 1000
    return {
        "login": login, "id": number, "node_id": f"U_{number}", "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "", "url": f"https://api.github.com/users/{login}", "html_url": f"https://github.com/{login}",
        "followers_url": f"https://api.github.com/users/{login}/followers", "repos_url": f"https://api.github.com/users/{login}/repos",
        "events_url": f"https://api.github.com/users/{login}/events{{/privacy}}", "type": "User", "site_admin": False,
    }


def commit(repo, sha, full_name):
    fields = git(repo, "show", "-s", "--format=%H%x00%T%x00%an%x00%ae%x00%cn%x00%ce%x00%cI%x00%B", sha).split("\0")
    files = {"A": [], "M": [], "D": []}
    for line in git(repo, "diff-tree", "--root", "--no-commit-id", "--no-renames", "--name-status", "-r", sha).splitlines():
        kind, name = line.split("\t", 1)
        files.setdefault(kind, []).append(name)
    return {
        "id": fields[0], "tree_id": fields[1], "distinct": True, "message": fields[7].strip(), "timestamp": fields[6],
        "url": f"https://github.com/{full_name}/commit/{fields[0]}",
        "author": {"name": fields[2], "email": fields[3], "username": fields[2].split()[0].lower()},
        "committer": {"name": fields[4], "email": fields[5], "username": fields[4].split()[0].lower()},
        "added": files["A"], "removed": files["D"], "modified": files["M"],
    }


def main():
    p = argparse.ArgumentParser()
    p.add_argument("repo")
    p.add_argument("--branch", default="main")
    p.add_argument("--ref", default=None)
    p.add_argument("--before", default=None)
    p.add_argument("--after", default=None)
    p.add_argument("--full-name", default="acme/handbook")
    p.add_argument("--clone-url", default=None)
    p.add_argument("--sender", default="ada")
    a = p.parse_args()
    ref = a.ref or f"refs/heads/{a.branch}"
    after = a.after or git(a.repo, "rev-parse", ref)
    before = a.before or (git(a.repo, "rev-parse", f"{after}^") if "\n" in git(a.repo, "rev-list", after) else ZERO)
    span = [after] if before == ZERO else git(a.repo, "rev-list", "--reverse", f"{before}..{after}").splitlines()
    commits = [commit(a.repo, sha, a.full_name) for sha in span]
    owner, name = a.full_name.split("/")
    api = f"https://api.github.com/repos/{a.full_name}"
    clone = a.clone_url or "file://" + os.path.abspath(a.repo)
    print(json.dumps({
        "ref": ref, "before": before, "after": after,
        "repository": {
            "id": 35129377, "node_id": "R_kgDOAhgJ4Q", "name": name, "full_name": a.full_name, "private": False, "owner": user(owner),
            "html_url": f"https://github.com/{a.full_name}", "description": "", "fork": False, "url": api,
            "forks_url": f"{api}/forks", "keys_url": f"{api}/keys{{/key_id}}", "hooks_url": f"{api}/hooks", "events_url": f"{api}/events",
            "branches_url": f"{api}/branches{{/branch}}", "tags_url": f"{api}/tags", "statuses_url": f"{api}/statuses/{{sha}}",
            "commits_url": f"{api}/commits{{/sha}}", "compare_url": f"{api}/compare/{{base}}...{{head}}", "contents_url": f"{api}/contents/{{+path}}",
            "git_url": f"git://github.com/{a.full_name}.git", "ssh_url": f"git@github.com:{a.full_name}.git", "clone_url": clone,
            "size": 120, "stargazers_count": 0, "watchers_count": 0, "language": "C", "has_issues": True, "archived": False, "disabled": False,
            "visibility": "public", "forks": 0, "open_issues": 2, "watchers": 0, "default_branch": "main", "master_branch": "main",
        },
        "pusher": {"name": a.sender, "email": f"{a.sender}@example.org"}, "sender": user(a.sender),
        "created": before == ZERO, "deleted": False, "forced": False, "base_ref": None,
        "compare": f"https://github.com/{a.full_name}/compare/{before[:12]}...{after[:12]}",
        "commits": commits, "head_commit": commits[-1] if commits else None,
    }))


if __name__ == "__main__":
    main()
