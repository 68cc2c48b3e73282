"""Mutation test: change one statement of `src/ir_router` at a time and see whether the tests that run it notice.

`make mutants` draws a seeded sample, evenly by package and kind of change, and runs the covering tests of each mutant
in a private copy of the project. The project has a tool of its own for three reasons. mutmut mutates everything or
the matches of a pattern, and draws no sample. cosmic-ray runs all tests for each mutant. Neither knows DynamoDB's
conditions.
"""
