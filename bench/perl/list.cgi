#!/usr/bin/perl
# The reference of the row `cgi`: the list of batches as a Perl panel of its kind would show it, with CGI.pm, DBI and
# Template Toolkit. BENCH_DSN, BENCH_USER and BENCH_COMPILED (a folder for compiled templates) come from the environment.
use strict;
use warnings;
use CGI;
use DBI;
use FindBin;
use Template;

my $query = CGI->new;
my $db = DBI->connect($ENV{BENCH_DSN}, $ENV{BENCH_USER}, '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
$db->do("SET SESSION time_zone = '+00:00'");
my $page = 50;

my $batches = $db->selectall_arrayref(q{
    SELECT b.*, j.id AS job_id, j.state AS job_state, j.items_done, j.items_total
    FROM ingest_batch b
    LEFT JOIN import_job j
      ON j.id = (SELECT latest.id FROM import_job latest WHERE latest.batch_id = b.id ORDER BY latest.id DESC LIMIT 1)
    ORDER BY b.discovered_at DESC, b.id DESC LIMIT ?}, { Slice => {} }, $page + 1);
my $more = @$batches > $page;
splice @$batches, $page;

my %count = map { @$_ } @{ $db->selectall_arrayref('SELECT status, COUNT(*) FROM ingest_batch GROUP BY status') };
my $count = 0;
$count += $_ for values %count;
my $hosts = $db->selectcol_arrayref('SELECT DISTINCT source_host FROM ingest_batch WHERE source_host IS NOT NULL LIMIT 100');
my ($queued, $running) = map {
    $db->selectrow_array('SELECT COUNT(*) FROM import_job WHERE state = ?', undef, $_)
} qw(queued running);
my ($oldest) = $db->selectrow_array(
    q{SELECT TIMESTAMPDIFF(SECOND, queued_at, NOW()) FROM import_job WHERE state = 'queued' ORDER BY id LIMIT 1});
my ($failed) = $db->selectrow_array(
    q{SELECT COUNT(*) FROM import_job WHERE state = 'failed' AND finished_at >= NOW() - INTERVAL 24 HOUR});
$db->disconnect;

my @units = qw(B KB MB GB TB PB EB);
my $template = Template->new({
    INCLUDE_PATH => $FindBin::Bin, COMPILE_DIR => $ENV{BENCH_COMPILED}, COMPILE_EXT => '.ttc', ENCODING => 'utf8',
    FILTERS => {
        size => sub { my ($value, $unit) = (shift, 0); while ($value >= 1024 && $unit < $#units) { $value /= 1024; $unit++ }
                      return $unit ? sprintf('%.1f %s', $value, $units[$unit]) : "$value B" },
        moment => sub { substr shift, 0, 19 },
        iso => sub { my $text = shift; $text =~ tr/ /T/; return $text . 'Z' },
    },
});
print $query->header(-type => 'text/html', -charset => 'utf-8', -cache_control => 'no-store');
$template->process('list.tt', {
    batches => $batches, more => $more, count => $count, counts => \%count, hosts => $hosts,
    statuses => [qw(discovered preflight_passed preflight_failed queued importing completed partial failed)],
    glance => { queued => $queued, running => $running, oldest => $oldest, failed => $failed },
    here => $query->script_name, token => '0' x 64, q => scalar $query->param('q'),
}) or die $template->error;
