"""What the tests of every service cannot know of this one."""
