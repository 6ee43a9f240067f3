"""Folders of scenes: what to do (plan), what is done already (record), one scene (work), all of them (run, cluster)."""
