"""The command line: a client like any other, one file a subject.

`jobctl.cli.entry` is where it begins. `jobctl.cli.render` is the only module that prints. The modules
that the hot verbs need (`fast`, `submission`, `times`, `shapes`, `page`, `places`, `render`) import
next to nothing, because a whole process may cost little more than the interpreter's own start.
"""
