"""The manual pages and the completion of bash, made from the parser of the command line and the schema of the settings."""
