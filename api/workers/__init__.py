"""Work beside the requests: workers of rigs, the campaign runner, strategies in processes of their own."""
