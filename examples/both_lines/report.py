"""A flow with a secret, for Prefect 0.5 to 1.4 and for Prefect 3."""

try:
    from prefect import flow, task
except ImportError:  # Prefect 0.5 to 1.4
    from prefect import Flow, task
    from prefect.client import Secret

    @task
    def authorization():
        return "token " + Secret("GITHUB_ACCESS_TOKEN").get()

    def report():
        with Flow("report") as report_flow:
            header = authorization()
        state = report_flow.run()
        result = state.result[header].result
        if state.is_failed():
            raise result
        return result

else:
    from prefect.blocks.system import Secret

    @task
    def authorization():
        return "token " + Secret.load("github-access-token").get()

    @flow
    def report():
        return authorization()
