"""The retention job: compresses hours after a time and deletes them after a longer one."""
