"""Make the files of a release: the zip for both processors, the wheel, a bill of materials and checksums."""
