"""The wire messages of the service, made from protos/omserve/v1 by generate.py."""
