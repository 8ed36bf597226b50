"""The server: REST, events and pages."""
