"""What of a policy can never act, or not as its author will have meant. `router.policy.review` asks it all."""
