"""Scripts that Ceph's own lab can run (see ``qa/suites``), and running them here.

``./run qa workunits`` runs the scripts in the suites, each job on the same development cluster, as
teuthology's task ``workunit`` would: with ``ceph`` and ``rbd`` on PATH, the admin's key, an empty
folder to work in and the fragment's environment. Scripts that install are left out, because the
development cluster already has the module.
"""
