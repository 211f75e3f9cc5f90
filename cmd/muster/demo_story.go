package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// jamie is whom the story follows: she works for both circuses.
const jamie = "jamie.morgan"

func (d *demo) title() {
	d.print("Muster: who may enter, and as what. Two circuses use one application, Timesheet.")
}

// tell runs the story once, step by step.
func (d *demo) tell(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.tellUp, d.awaitOpen, d.tellPush, d.tellRoles, d.tellSignIn, d.tellDeactivated, d.tellReactivated} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.tellWhere()
	return nil
}

func (d *demo) tellUp(context.Context) error {
	d.print("\n1. Up: Muster at %s on a private PostgreSQL in %s,\n   and two identity providers, simulated.", d.house.publicURL, d.dir)
	return nil
}

func (d *demo) tellPush(ctx context.Context) error {
	d.print("\n2. Their directories are pushed by SCIM over HTTP.")
	for _, c := range circuses() {
		began := time.Now()
		if err := d.p.push(ctx, d.idps[c.Slug], c.Name); err != nil {
			return fmt.Errorf("push %s: %w", c.Slug, err)
		}
		directory := d.idps[c.Slug].Directory()
		d.print("   %-9s %-9s %d people, %d groups in %s", c.Name, c.product, len(directory.People), len(directory.Groups), took(began))
	}
	return nil
}

// A holding is how many people hold a role by a rule.
type holding struct {
	role, rule string
	people     int
}

func (d *demo) tellRoles(ctx context.Context) error {
	d.print("\n3. Roles follow from rules/ringling.yaml and rules/cirque.yaml.")
	t := newTable(d.p.out)
	t.row("   TENANT", "ROLE", "PEOPLE", "BY RULE")
	var why []string
	for _, c := range circuses() {
		dir, err := d.admin(ctx, c)
		if err != nil {
			return err
		}
		held, err := holdings(ctx, dir)
		if err != nil {
			return err
		}
		for _, h := range held {
			t.row("   "+c.Slug, h.role, h.people, h.rule)
		}
		e, err := dir.Explain(ctx, jamie+"@"+c.domain)
		if err != nil {
			return err
		}
		for _, a := range e.Assignments {
			if a.Role == demoApp+".approver" {
				why = append(why, fmt.Sprintf("   Jamie Morgan of %s approves by %s:\n     %s", c.Name, a.Rule, strings.Join(facts(a), "\n     ")))
			}
		}
	}
	if err := t.writer.Flush(); err != nil {
		return err
	}
	d.print("%s", strings.Join(why, "\n"))
	return nil
}

// holdings counts who holds which role by which rule.
func holdings(ctx context.Context, dir *store.Directory) ([]holding, error) {
	page, err := dir.List(ctx, store.Query{Types: []*scim.ResourceType{dir.UserType()}, Count: store.MaxCount})
	if err != nil {
		return nil, err
	}
	counts := map[holding]int{}
	for _, u := range page.Items {
		e, err := dir.Explain(ctx, u.ID.String())
		if err != nil {
			return nil, err
		}
		for _, a := range e.Assignments {
			counts[holding{role: a.Role, rule: ruleName(a)}]++
		}
	}
	held := slices.SortedFunc(maps.Keys(counts), func(a, b holding) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.rule, b.rule))
	})
	for i := range held {
		held[i].people = counts[held[i]]
	}
	return held, nil
}

// ruleName is the rule as people know it: an entry of groupRoles by its group.
func ruleName(a store.Assignment) string {
	if strings.HasPrefix(a.Rule, "groupRoles:") && len(facts(a)) > 0 {
		name, _, _ := strings.Cut(facts(a)[0], " (")
		return name
	}
	return a.Rule
}

func (d *demo) tellSignIn(ctx context.Context) error {
	d.print("\n4. Jamie Morgan signs in to Timesheet. She works for both circuses and is two users.")
	for _, c := range circuses() {
		v, err := d.signIn(ctx, c)
		if err != nil {
			return err
		}
		if !v.allowed() {
			return fmt.Errorf("sign-in of Jamie Morgan of %s: refused, %s", c.Name, v.Reason)
		}
		d.print("   %-9s at %s: allowed, with a token of %s for %s", c.Name, c.product, time.Duration(v.Token.ExpiresIn)*time.Second, v.Claims.Audience)
		d.print("   %-9s user %s, roles %s", "", v.Claims.Subject, strings.Join(v.Claims.Roles, ", "))
	}
	return nil
}

func (d *demo) tellDeactivated(ctx context.Context) error {
	c := circuses()[0]
	d.print("\n5. %s deactivates her in %s, which pushes that.", c.Name, c.product)
	if err := d.idps[c.Slug].Deactivate(ctx, jamie); err != nil {
		return err
	}
	began := time.Now()
	check, err := d.check(ctx, c)
	if err != nil {
		return err
	}
	asked := took(began)
	v, err := d.signIn(ctx, c)
	if err != nil {
		return err
	}
	if check.Allowed || v.allowed() {
		return errors.New("sign-in of Jamie Morgan: let in although she is deactivated")
	}
	d.print("   check, %s after the 200 to %s: allowed %t, reason %s", asked, c.product, check.Allowed, check.Reason)
	d.print("   sign-in: %d %q, reason %s", v.Status, v.Title, v.Reason)
	return nil
}

func (d *demo) tellReactivated(ctx context.Context) error {
	c := circuses()[0]
	if err := d.idps[c.Slug].Reactivate(ctx, jamie); err != nil {
		return err
	}
	check, err := d.check(ctx, c)
	if err != nil {
		return err
	}
	if !check.Allowed {
		return fmt.Errorf("check of Jamie Morgan, active again: refused, %s", check.Reason)
	}
	d.print("   Activated again: the same user, roles %s. Her old session stays ended.", strings.Join(check.Roles, ", "))
	return nil
}

// A checked is what the check answers an application.
type checked struct {
	Allowed bool     `json:"allowed"`
	Reason  string   `json:"reason"`
	Roles   []string `json:"roles"`
}

// check asks about Jamie as the application does.
func (d *demo) check(ctx context.Context, c circus) (checked, error) {
	id, _ := d.idps[c.Slug].UserID(jamie)
	body, err := json.Marshal(map[string]string{"user": id})
	if err != nil {
		return checked{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.checkURL(c), bytes.NewReader(body))
	if err != nil {
		return checked{}, err
	}
	request.SetBasicAuth(demoApp, d.state.AppSecret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return checked{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return checked{}, fmt.Errorf("check: %s", response.Status)
	}
	var answer checked
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

func (d *demo) checkURL(c circus) string { return d.house.publicURL + "/t/" + c.Slug + "/check" }

func (d *demo) tellWhere() {
	c := circuses()[0]
	id, _ := d.idps[c.Slug].UserID(jamie)
	d.print("\nEverything stays up until Ctrl-C; a second run keeps the data.")
	t := newTable(d.p.out)
	t.row("   Timesheet: sign in as anybody", "http://"+d.address(timesheetAt)+"/")
	for i, c := range circuses() {
		t.row("   "+c.Name+"'s directory: deactivate somebody", "http://"+d.address(idpAt+i)+"/")
	}
	t.row("   OpenID Provider", d.house.publicURL+"/.well-known/openid-configuration")
	t.row("   Metrics", "http://"+d.address(metricsAt)+"/metrics")
	t.row("   Server's log", d.log.Name())
	t.writer.Flush()
	d.print("\nMay Jamie enter now? Ask, deactivate her on the page of Ringling's directory, ask again:\n")
	d.print(`   curl -s -u "%s:$(cat %s)" -d '{"user":"%s"}' %s`, demoApp, d.state.secretPath, id, d.checkURL(c))
	d.print("\nAnd why?\n\n   bin/muster explain %s@%s --tenant %s --local --data %s", jamie, c.domain, c.Slug, d.dir)
}
