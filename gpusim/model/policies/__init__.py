"""Policies: the choices of the machine that architects like to try, one file each.

    scheduler/      which ready warp of a sub-core issues
    prefetcher/     which instruction lines a sub-core asks for before they are needed
    replacement/    which way of a full set a cache gives up

A kind's `__init__.py` states its interface: the functions that a policy file has, their arguments and what they may do.
Adding a policy is adding a file: its name is what a card says (`scheduler: gto`), and a user's own file may stand
anywhere (`scheduler: ./mine.py`). A file holds plain functions. `names` finds the files, `policy_set` numbers those
that a launch's card names, `loading` compiles them, `dispatch` lets the stages call whichever is chosen. The choice is
a run-time number, so that a sweep over policies compiles nothing again.
"""
