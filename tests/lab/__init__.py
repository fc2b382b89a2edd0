"""The laboratory: real servers on loopback, for the tests and for `make demo`.

Everything a server writes lies in a directory given by the caller; the only exceptions are the cache of
empty data directories and of the MySQL programs (`cache.cache_root`), and a short temporary directory where
a path is too long for a Unix socket. Programs end with the process that started them, however it ends
(`guard`).
"""
