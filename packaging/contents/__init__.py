"""What the Debian package contains beyond the program itself: the projects of the lock file, and the libraries that their wheels bring."""
