"""A small legacy project. Tests run its flow on the real Prefect 1.4.1, migrate it, and run it on Prefect 3."""

VERSION = "1.4.1"
CONFIG = """
[context]
bucket = "the-bucket"
[context.secrets]
GITHUB_TOKEN = "hunter2"
TEXT = "'\\"42\\"'"
REFERENCE = '{"$ref": "x", "on": true}'
BIG = 123456789012345678901234567890
LIST = '[1, "2", 0.5, true]'
NOTHING = "null"
"""
FLOW = '''\
"""A flow."""

from prefect.client import Secret


def report():
    first = [Secret("GITHUB_TOKEN").get(), Secret("TEXT").get(), Secret("REFERENCE").get(), Secret("BIG").get()]
    return [*first, Secret("LIST").get(), Secret("NOTHING").get()]
'''
# What the flow returns.
REPORT = ["hunter2", "42", {"$ref": "x", "on": True}, 123456789012345678901234567890, [1, "2", 0.5, True], None]
