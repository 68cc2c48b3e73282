"""The player of shapes: inputs in the formats of AWS and Slack, played against the complete system in one process.

An entry is a list of steps with times: requests of Slack, events of AWS, answers of both, the initial state, and the
actions of people. The player plays each entry in a new simulator (`tests.trials.world`) and writes the final state of
both sides. It does not judge. The entry describes the expected result, and a person compares.
"""

from __future__ import annotations
