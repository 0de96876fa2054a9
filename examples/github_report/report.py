"""A flow for Prefect 1.x that counts the open issues of a repository, notifies Slack and archives the count."""

import prefect
import requests
from prefect import Flow, Parameter, task
from prefect.client import Secret
from prefect.engine.result import Result
from prefect.engine.state import Failed, Success
from prefect.storage import GitHub
from prefect.tasks.secrets import PrefectSecret
from prefect.utilities.notifications import slack_notifier


class Archive(Result):
    """A result handler that stores results on an HTTP server. One JSON secret holds its address, user and password."""

    def _url(self, location):
        archive = Secret("ARCHIVE").get()
        return f"{archive['url']}/{location}", (archive["user"], archive["password"])

    def exists(self, location, **kwargs):
        url, auth = self._url(location.format(**kwargs))
        return requests.head(url, auth=auth, timeout=10).ok

    def write(self, value_, **kwargs):
        new = self.format(**kwargs)
        new.value = value_
        url, auth = self._url(new.location)
        requests.put(url, data=self.serializer.serialize(value_), auth=auth, timeout=10).raise_for_status()
        return new

    def read(self, location):
        new = self.copy()
        new.location = location
        url, auth = self._url(location)
        response = requests.get(url, auth=auth, timeout=10)
        response.raise_for_status()
        new.value = self.serializer.deserialize(response.content)
        return new


@task(result=Archive(location="open-issues/{parameters[repository]}"))
def count_open_issues(api, repository, token):
    response = requests.get(
        f"{api}/repos/{repository}/issues",
        params={"state": "open"},
        headers={"Authorization": f"token {token}"},
        timeout=10,
    )
    response.raise_for_status()
    prefect.context.logger.info("GitHub answered")
    return len(response.json())


with Flow(
    "github-report",
    storage=GitHub(repo="octo/flows", path="report.py"),  # also uses the secret GITHUB_ACCESS_TOKEN
    # Without backend_info=False, the notifier asks Prefect Cloud for the URL of the run, even in local runs.
    state_handlers=[slack_notifier(only_states=[Success, Failed], backend_info=False)],
) as flow:
    count = count_open_issues(
        Parameter("api", default="https://api.github.com"),
        Parameter("repository"),
        PrefectSecret("GITHUB_ACCESS_TOKEN"),
    )
