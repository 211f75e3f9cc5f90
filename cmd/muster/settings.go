package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// envPrefix is before every variable of ours.
const envPrefix = "MUSTER_"

// settings are what the program is configured by. Each may be given as a flag
// (unless it is a secret), as an environment variable or in the YAML file.
type settings struct {
	DatabaseURL   string `env:"DATABASE_URL" yaml:"database_url" flag:"database-url" mask:"url" usage:"PostgreSQL as the server's plain role, postgres://muster_server@host/muster"`
	MigrationURL  string `env:"MIGRATION_URL" yaml:"migration_url" flag:"migration-url" mask:"url" usage:"the same database as the owner of the tables; when given, serve migrates"`
	Local         bool   `env:"LOCAL" yaml:"local" flag:"local" usage:"use a private PostgreSQL, which serve starts; also permits issuers on loopback"`
	DataDir       string `env:"DATA" yaml:"data" flag:"data" usage:"folder of --local: the database and the key"`
	KeyFile       string `env:"KEY_FILE" yaml:"key_file" flag:"key-file" usage:"file with the key-encryption key: 32 bytes in base64"`
	Key           string `env:"KEY" yaml:"-" mask:"all" usage:"the key-encryption key itself"`
	PublicURL     string `env:"PUBLIC_URL" yaml:"public_url" flag:"public-url" usage:"origin of every link and the issuer, https://id.example.com"`
	Listen        string `env:"LISTEN" yaml:"listen" flag:"listen" usage:"address of the server"`
	MetricsListen string `env:"METRICS_LISTEN" yaml:"metrics_listen" flag:"metrics-listen" usage:"address of metrics and profiles, for operators only; off for none"`
	LogLevel      string `env:"LOG_LEVEL" yaml:"log_level" flag:"log-level" usage:"debug, info, warn or error"`
	PoolSize      int    `env:"POOL_SIZE" yaml:"pool_size" flag:"pool-size" usage:"connections to the database; 0: six per core, 32 at most"`

	TLSCertificate string `env:"TLS_CERTIFICATE" yaml:"tls_certificate" flag:"tls-certificate" usage:"file with the certificate chain (PEM) with which the server answers HTTPS itself"`
	TLSKey         string `env:"TLS_KEY" yaml:"tls_key" flag:"tls-key" usage:"file with the key of that certificate (PEM)"`

	TrustedProxies    string `env:"TRUSTED_PROXIES" yaml:"trusted_proxies" flag:"trusted-proxies" usage:"networks of the load balancers whose X-Forwarded-For is believed: 10.0.0.0/8,fd00::/8"`
	SignInsPerSecond  int    `env:"SIGN_INS_PER_SECOND" yaml:"sign_ins_per_second" flag:"sign-ins-per-second" usage:"sign-ins that one address may begin; five times as many at once"`
	FailuresPerSecond int    `env:"FAILURES_PER_SECOND" yaml:"failures_per_second" flag:"failures-per-second" usage:"credentials that do not hold which one address may bring; ten times as many at once"`
	RequestsPerSecond int    `env:"REQUESTS_PER_SECOND" yaml:"requests_per_second" flag:"requests-per-second" usage:"requests of one tenant's provisioning clients, unless tenant set gives it a rate of its own; twice as many at once"`
	Without           string `env:"WITHOUT" yaml:"without" flag:"without" usage:"SCIM endpoints that are not offered (501): bulk,me"`
	Sensitive         string `env:"SENSITIVE" yaml:"sensitive" flag:"sensitive" usage:"attributes that no address may filter by, as filters name them: name.familyName,urn:example:hr:badge; a POST to /.search may"`
	RequestDays       int    `env:"REQUEST_DAYS" yaml:"request_days" flag:"request-days" usage:"how many days the provisioning log keeps a SCIM request"`
	RequestMB         int    `env:"REQUEST_MB" yaml:"request_mb" flag:"request-mb" usage:"how much of it is kept of one tenant, in MiB; the oldest goes first"`
}

// Addresses that hold unless others are given: on loopback, so that a server is
// reachable from elsewhere only where somebody said so.
const (
	defaultListen  = "127.0.0.1:8080"
	defaultMetrics = "127.0.0.1:8081"
)

func defaultSettings() settings {
	return settings{DataDir: defaultDataDir("muster"), Listen: defaultListen, MetricsListen: defaultMetrics, LogLevel: "info", SignInsPerSecond: 20, FailuresPerSecond: 10, RequestsPerSecond: 100, RequestDays: 30, RequestMB: 1024}
}

// fields calls do for every setting.
func (s *settings) fields(do func(field reflect.StructField, value reflect.Value)) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		do(v.Type().Field(i), v.Field(i))
	}
}

// addSettingFlags gives every command the flags of the settings.
func addSettingFlags(c *cobra.Command) {
	s := defaultSettings()
	flags := c.PersistentFlags()
	s.fields(func(field reflect.StructField, value reflect.Value) {
		name, usage := field.Tag.Get("flag"), field.Tag.Get("usage")
		switch {
		case name == "":
		case value.Kind() == reflect.Bool:
			flags.Bool(name, false, usage)
		case value.Kind() == reflect.Int:
			flags.Int(name, int(value.Int()), usage)
		default:
			flags.String(name, value.String(), usage)
		}
	})
	flags.String("config", "", "YAML file with settings")
}

// readSettings finds out what holds: flags over environment over file over
// defaults.
func (p *program) readSettings(c *cobra.Command) error {
	p.settings, p.origins = defaultSettings(), map[string]string{}
	if err := p.readFile(c); err != nil {
		return err
	}
	environment := env.ToMap(p.environ)
	err := env.ParseWithOptions(&p.settings, env.Options{Prefix: envPrefix, Environment: environment})
	if err != nil {
		return usagef("environment: %v", firstLine(err))
	}
	p.settings.fields(func(field reflect.StructField, value reflect.Value) {
		if name := envPrefix + field.Tag.Get("env"); environment[name] != "" {
			p.origins[field.Name] = name
		}
		flag := c.Flag(field.Tag.Get("flag"))
		if flag != nil && flag.Changed {
			p.origins[field.Name] = "--" + flag.Name
			setText(value, flag.Value.String())
		}
	})
	return p.settings.check(p.origins)
}

// firstLine keeps the errors of several variables on one line.
func firstLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}

// setText gives a setting the text of a flag, which has parsed it before.
func setText(value reflect.Value, text string) {
	switch value.Kind() {
	case reflect.Bool:
		value.SetBool(text == "true")
	case reflect.Int:
		n, _ := strconv.Atoi(text)
		value.SetInt(int64(n))
	default:
		value.SetString(text)
	}
}

// readFile reads the YAML file, if one is named. A name in it that is none of
// ours is an error: a setting with a slip must not be left out silently.
func (p *program) readFile(c *cobra.Command) error {
	path := env.ToMap(p.environ)[envPrefix+"CONFIG"]
	if flag := c.Flag("config"); flag != nil && flag.Changed {
		path = flag.Value.String()
	}
	if path == "" {
		return nil
	}
	text, err := readPrivate(path)
	if err != nil {
		return usagef("configuration file: %v", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&p.settings); err != nil && !errors.Is(err, io.EOF) {
		return usagef("configuration file %s: %v", path, firstLine(err))
	}
	given := map[string]any{}
	if err := yaml.Unmarshal(text, &given); err != nil {
		return usagef("configuration file %s: %v", path, firstLine(err))
	}
	p.settings.fields(func(field reflect.StructField, _ reflect.Value) {
		if _, ok := given[field.Tag.Get("yaml")]; ok {
			p.origins[field.Name] = path
		}
	})
	return nil
}

// check refuses settings that contradict one another or would leak a secret.
func (s *settings) check(origins map[string]string) error {
	if s.Local && s.DatabaseURL != "" {
		return usagef("both --local (%s) and a database URL (%s) are given: leave one out", origins["Local"], origins["DatabaseURL"])
	}
	if s.Key != "" && s.KeyFile != "" {
		return usagef("both MUSTER_KEY and a key file (%s) are given: leave one out", origins["KeyFile"])
	}
	if (s.TLSCertificate == "") != (s.TLSKey == "") {
		return usagef("a certificate and its key belong together: give both --tls-certificate and --tls-key, or neither where a load balancer speaks TLS")
	}
	if _, err := s.trustedProxies(); err != nil {
		return err
	}
	if err := s.checkOffer(); err != nil {
		return err
	}
	if s.SignInsPerSecond < 0 || s.FailuresPerSecond < 0 || s.RequestsPerSecond < 0 {
		return usagef("sign-ins, failures and requests per second: a limit is not below zero")
	}
	if s.RequestDays < 1 || s.RequestMB < 1 {
		return usagef("request days and MiB: the provisioning log keeps at least one of either")
	}
	for field, text := range map[string]string{"DatabaseURL": s.DatabaseURL, "MigrationURL": s.MigrationURL} {
		if strings.HasPrefix(origins[field], "--") && holdsPassword(text) {
			return usagef("%s holds a password, which everybody on this machine can read in the list of processes: give it in the environment, the configuration file, or a PostgreSQL password file", origins[field])
		}
	}
	return nil
}

func holdsPassword(database string) bool { return maskURL(database) != database }

const masked = "********"

// mask is the setting's value as it may be shown.
func mask(field reflect.StructField, value any) any {
	text, ok := value.(string)
	switch {
	case !ok || text == "":
		return value
	case field.Tag.Get("mask") == "all":
		return masked
	case field.Tag.Get("mask") == "url":
		return maskURL(text)
	}
	return value
}

// maskURL hides the passwords of a database address. An address that is no URL
// is hidden whole where it mentions one.
func maskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		if strings.Contains(strings.ToLower(text), "password") || err != nil {
			return masked
		}
		return text
	}
	found := false
	if _, has := u.User.Password(); has {
		u.User, found = url.UserPassword(u.User.Username(), masked), true
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, masked)
			found = true
		}
	}
	if !found {
		return text
	}
	u.RawQuery = query.Encode()
	return strings.ReplaceAll(u.String(), url.QueryEscape(masked), masked)
}

func (s *settings) logLevel() (level slog.Level, err error) {
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return 0, usagef("log level %q: use debug, info, warn or error", s.LogLevel)
	}
	return level, nil
}

func missingDatabase() error {
	return usagef("no database is named: give MUSTER_DATABASE_URL (or --database-url), or --local for a private PostgreSQL in a folder of this machine")
}
