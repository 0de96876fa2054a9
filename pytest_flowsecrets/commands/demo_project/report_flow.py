"""The flow: counts the open issues that an API returns for a valid token."""

import json
import sys
from http.client import HTTPConnection

from prefect import Flow, Parameter, task
from prefect.client import Secret


@task
def count_open_issues(github):
    token = Secret("GITHUB_ACCESS_TOKEN").get()
    connection = HTTPConnection(github, timeout=10)
    connection.request("GET", "/issues?state=open", headers={"Authorization": f"token {token}"})
    response = connection.getresponse()
    if response.status != 200:
        raise ValueError(f"GitHub answered {response.status}")
    return len(json.loads(response.read()))


with Flow("report") as flow:
    count_open_issues(Parameter("github"))


if __name__ == "__main__":
    sys.exit(not flow.run(parameters={"github": sys.argv[1]}).is_successful())
