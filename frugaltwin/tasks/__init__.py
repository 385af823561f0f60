"""Tasks: hidden labs, one per student, judged on the truth."""
