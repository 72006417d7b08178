"""Looking at the host: what a daemon needs of it, what it finds, and what to do about the difference.

`facts` looks, `findings` judges; neither changes anything. It is a process of its own, started by the command
line (``python -m jobctl.daemon.doctor``), so that it sees what a daemon of that user would see.
"""
