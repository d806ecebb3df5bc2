"""What runs: daemons, the registry, and the command line of the field engineer.

- ``__main__``: ``markd``, which runs one daemon for good
- ``registry``: ``markregistryd``
- ``cli``: ``mark``
- ``runner``: from an instrument file to a daemon; ``loading``: from a Python module to one
- ``supervision``: signals and exit codes; ``logs``: what goes to stderr
"""
