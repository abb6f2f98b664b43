package config

import (
	"time"

	"roost/cmd/roost/internal/webhook"
)

const (
	minWebhookQueue = 1 << 20
	maxWebhookQueue = 1 << 30
	maxWebhookRetry = 24 * time.Hour
)

func (c Config) validWebhook() map[string]bool {
	return map[string]bool{
		"WEBHOOK_URL":         c.WebhookURL == "" || webhook.CheckURL(c.WebhookURL) == nil,
		"WEBHOOK_SECRET":      len(c.WebhookSecret) == 0 || webhook.CheckSecrets(c.WebhookSecret) == nil,
		"WEBHOOK_TIMEOUT":     c.WebhookTimeout >= time.Second && c.WebhookTimeout <= time.Minute,
		"WEBHOOK_RETRY_FOR":   c.WebhookRetryFor >= time.Second && c.WebhookRetryFor <= maxWebhookRetry,
		"WEBHOOK_QUEUE_BYTES": within(c.WebhookQueueBytes, minWebhookQueue, maxWebhookQueue),
	}
}

// webhookConflicts finds the variables about the webhook that want others beside them.
func (c Config) webhookConflicts(add func(wrong bool, name, other, value, want string)) {
	on := c.WebhookURL != ""
	add(on && !c.RedisPresence, "WEBHOOK_URL", "REDIS_PRESENCE", c.WebhookURL,
		"REDIS_PRESENCE=true beside it, for all instances: it knows who becomes online and offline")
	add(on && len(c.WebhookSecret) == 0, "WEBHOOK_SECRET", "WEBHOOK_URL", "",
		"a secret for WEBHOOK_URL: "+variableOf("WEBHOOK_SECRET").want+". Without a signature your backend can't tell who posts")
	add(!on && c.WebhookCAFile != "", "WEBHOOK_CA_FILE", "WEBHOOK_URL", c.WebhookCAFile, "WEBHOOK_URL beside it, the address that is posted to")
}
