"""Speed and accuracy, each as a table and JSON, against a baseline in the same run."""
