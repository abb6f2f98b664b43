package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"roost/cmd/roost/internal/authorities"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/version"
	"roost/cmd/roost/internal/webhook"
	"roost/httpapi"
	"roost/redisfeed/presence"
)

const (
	// webhookLimit is how long what waits for the webhook is sent at the end.
	webhookLimit = 5 * time.Second
	// retireLimit is how long it may take to take this instance's users off its list in Redis, where no time to stop is left.
	retireLimit = 500 * time.Millisecond
	// webhookFreeze is how long a request under way may take before what waits goes to the new process of an upgrade.
	webhookFreeze = 3 * time.Second
	// takesWebhook is what a new process says in Hello.Takes that sends the webhook's events of the old one.
	takesWebhook = "webhook"
)

// webhookConfig is the webhook's part of the configuration. The error names the variable whose file can't be used.
func webhookConfig(cfg config.Config, log *slog.Logger) (webhook.Config, error) {
	hook := webhook.Config{
		URL: cfg.WebhookURL, Secrets: cfg.WebhookSecret, Timeout: cfg.WebhookTimeout, RetryFor: cfg.WebhookRetryFor,
		QueueBytes: cfg.WebhookQueueBytes, UserAgent: "roost/" + version.Number(), Logger: log,
	}
	if path := cfg.WebhookCAFile; path != "" {
		hook.Authorities = x509.NewCertPool() // without those that the system trusts
		if _, err := authorities.AddFile(hook.Authorities, path); err != nil {
			return hook, fmt.Errorf("WEBHOOK_CA_FILE: %w", err)
		}
	}
	return hook, nil
}

// openWebhook makes the webhook, if there is to be one.
func (s *Service) openWebhook() error {
	if s.cfg.WebhookURL == "" {
		return nil
	}
	hook, err := webhookConfig(s.cfg, s.log)
	if err != nil {
		return err
	}
	s.webhook, err = webhook.New(hook)
	return err
}

// tellWebhook is presence's tell; nil without a webhook.
func (s *Service) tellWebhook() func([]presence.Event) {
	if s.webhook == nil {
		return nil
	}
	return func(events []presence.Event) {
		all := make([]webhook.Event, len(events))
		for i, e := range events {
			all[i] = webhook.Event(e)
		}
		s.webhook.Push(all)
	}
}

// runWebhook sends until endWebhook. After a handover the old process first says what waited there: see receiveLate.
func (s *Service) runWebhook() {
	if s.took.from == nil {
		s.webhook.Start()
	}
	s.webhook.Run()
}

// endWebhook sends what waits, for a bounded time, once presence has ended. Another instance reports users whose events are left.
func (s *Service) endWebhook(ctx context.Context) {
	if s.webhook == nil {
		return
	}
	<-s.presenceDone
	closing, cancel := context.WithTimeout(ctx, webhookLimit)
	defer cancel()
	s.webhook.Close(closing)
	if ctx.Err() != nil { // nothing of the time to stop is left
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), retireLimit)
		defer cancel()
	}
	s.presence.Retire(ctx)
}

// handOverWebhook gives what waits for the webhook to the new process, after commit: no events come any more. If that takes none, this
// process sends them before it ends.
func (s *Service) handOverWebhook(ctx context.Context, h *handoff) {
	if s.webhook == nil || !h.takesWebhook {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, webhookFreeze)
	defer cancel()
	s.webhook.Freeze(ctx)
	if err := s.webhook.Export(func(section []byte) error { return h.sendLate(sectionWebhook, section, nil) }); err != nil {
		s.log.Warn("what waits for the webhook can't be handed over", "error", err)
	}
}

// takeWebhook takes what waited for the webhook in the old process.
func (s *Service) takeWebhook(section []byte) {
	if s.webhook == nil { // the old process was not told that there is one
		return
	}
	if err := s.webhook.Import(section); err != nil {
		s.log.Warn("webhook events are lost", "error", err)
	}
}

// takes is Hello.Takes.
func (s *Service) takes() []string {
	if s.webhook == nil {
		return nil
	}
	return []string{takesWebhook}
}

// setWebhookSecrets applies WEBHOOK_SECRET, which is right.
func (s *Service) setWebhookSecrets(cfg config.Config) {
	if s.webhook == nil || slices.Equal(s.current.Load().cfg.WebhookSecret, cfg.WebhookSecret) {
		return
	}
	if err := s.webhook.SetSecrets(cfg.WebhookSecret); err != nil {
		s.log.Error("WEBHOOK_SECRET stays as it was", "error", err)
	}
}

// addWebhook fills in what is about the webhook.
func (s *Service) addWebhook(to *httpapi.Stats) {
	if s.webhook == nil {
		return
	}
	status := s.webhook.Status()
	to.WebhookEvents, to.WebhookRequests = status.Events, status.Requests
	to.WebhookReported = s.presence.Status().Reported
	to.WebhookWaiting, to.WebhookBytes, to.WebhookFailingFor = status.Waiting, status.Bytes, status.FailingFor
}
