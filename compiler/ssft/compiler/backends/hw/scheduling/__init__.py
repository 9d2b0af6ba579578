"""From tasks with their reads and writes to queues with semaphores."""
