"""Everything that runs beside the requests: rigs' workers, campaigns, strategies in processes of their own."""
