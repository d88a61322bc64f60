"""The engine of rbd_migration: RBD live migration as a service of the cluster.

A plain Python library. It knows rados and rbd, and never imports mgr_module, cherrypy or
prettytable: those belong to the front ends, which call :class:`rbdmigrate.engine.Engine`.

Packages, from the top down (each imports only those below it)::

    engine/   carries out migrations; the one API that every front end calls
    worker/   the process that makes the librbd calls, and can be killed
    cluster/  all that touches Ceph          control/  pure decisions, no I/O, no clock
    sources/  external sources, without Ceph
    model/    pure data, imports no other package
"""

__version__ = "0.1.0"
